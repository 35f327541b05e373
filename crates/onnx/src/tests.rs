mod files;
mod hostile;
mod round_trip;
