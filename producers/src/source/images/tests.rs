//! Folders as they are found.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use driftmill_platform::clock::ManualClock;
use driftmill_schemas::record::framing::SchemaRef;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::progress::Progress;
use crate::surroundings::Surroundings;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n....IEND\xAE\x42\x60\x82";

struct World {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    known: BTreeSet<Fingerprint>,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("photos")).unwrap();
        Self { folder, runtime, known: BTreeSet::new() }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("photos").join(file)
    }

    fn write(&self, file: &str, bytes: &[u8]) {
        fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        fs::write(self.path(file), bytes).unwrap();
    }

    fn reader(&self, declared: &str) -> ImageReader {
        let declared = serde_json::from_str(&format!(r#"{{"path":"photos"{declared}}}"#)).unwrap();
        let schema = RecordSchema::parse(
            r#"{"type":"record","name":"r","fields":[{"name":"path","type":"string"},{"name":"bytes","type":"bytes"},
            {"name":"hash","type":"string"},{"name":"label","type":["null","string"]},{"name":"size","type":"double"},
            {"name":"modified","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"format","type":"string"}]}"#,
        )
        .unwrap();
        let live = Live {
            runtime: self.runtime.handle().clone(),
            cancel: CancellationToken::new(),
            progress: watch::Sender::<Progress>::default(),
            clock: Arc::new(ManualClock::at(i64::MAX)),
            framing: SchemaRef::Fingerprint(0),
            around: Surroundings::default(),
        };
        let opening = Opening {
            position: Position::default(),
            state: None,
            places: BTreeMap::new(),
            known: self.known.clone(),
            live,
        };
        ImageReader::open(&self.folder.path().join("photos"), &declared, &schema, opening).unwrap()
    }

    /// Reads up to `most` files, which are acknowledged: path, and label or reason.
    fn read(&mut self, declared: &str, most: usize) -> Vec<(String, String)> {
        let mut reader = self.reader(declared);
        let mut found = Vec::new();
        while found.len() < most
            && let Some(item) = reader.next().unwrap()
        {
            let Identity::Hash(fingerprint) = item.identity() else { panic!() };
            assert!(self.known.insert(fingerprint));
            let place = item.more.unwrap().place.unwrap();
            let path = place.rsplit_once("photos/").unwrap().1.to_owned();
            let what = match item.content {
                Content::Record(record) => record.values[3].to_text().unwrap_or_default(),
                Content::Unreadable { reason, .. } => reason.kind().to_owned(),
                other => panic!("{other:?}"),
            };
            found.push((path, what));
        }
        found
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn every_part_of_a_file_fills_its_field() {
    let world = World::new();
    world.write("a/cat/1.png", PNG);
    let item = world.reader("").next().unwrap().unwrap();
    let Content::Record(record) = item.content else { panic!() };
    let modified = fs::metadata(world.path("a/cat/1.png")).unwrap().modified().unwrap();
    let modified = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let wanted = [
        Value::String("a/cat/1.png".to_owned()),
        Value::Bytes(PNG.to_vec()),
        Value::String(hex::encode(Sha256::digest(PNG))),
        Value::String("cat".to_owned()),
        Value::Double(PNG.len() as f64),
        Value::Long(modified),
        Value::String("png".to_owned()),
    ];
    assert_eq!(record.values, wanted);
}

#[test]
fn files_come_by_path_and_bad_ones_are_dead_letters() {
    let mut world = World::new();
    let photos =
        [("b/2.png", PNG), ("b/1.png", PNG), ("top.png", PNG), ("a/text.png", b"hello"), ("a/cut.png", &PNG[..12])];
    photos.iter().for_each(|(file, bytes)| world.write(file, bytes));
    world.write(".hidden", b"x");
    world.write("large.png", &[PNG, &[0; 100][..]].concat());
    fs::write(world.folder.path().join("secret.png"), PNG).unwrap();
    symlink(world.folder.path().join("secret.png"), world.path("out.png")).unwrap();
    symlink(world.folder.path(), world.path("outer")).unwrap();
    symlink(world.path("top.png"), world.path("in.png")).unwrap();
    symlink(world.path("b"), world.path("c")).unwrap();
    symlink(world.path("nothing"), world.path("lost.png")).unwrap();
    let found = world.read(r#","max_bytes":100"#, 99);
    let wanted = [
        ("a/cut.png", "TruncatedImage"),
        ("a/text.png", "NoImage"),
        ("b/1.png", "b"),
        ("b/2.png", "b"),
        ("in.png", ""),
        ("large.png", "TooLong"),
        ("lost.png", "ForbiddenLink"),
        ("out.png", "ForbiddenLink"),
        ("outer", "ForbiddenLink"),
        ("top.png", ""),
    ];
    assert_eq!(found, pairs(&wanted));
    assert!(world.read("", 99).is_empty(), "all of them are known");
    let flat = World::new().read(r#","recursive":false"#, 99);
    assert!(flat.is_empty());
}

#[test]
fn a_run_that_ends_anywhere_is_gone_on_with_and_late_files_are_found() {
    let mut world = World::new();
    for file in ["b.png", "d.png", "f.png"] {
        world.write(file, PNG);
    }
    assert_eq!(world.read("", 2), pairs(&[("b.png", ""), ("d.png", "")]));
    // Names and times before those that were read.
    world.write("a.png", PNG);
    let old = fs::File::options().append(true).open(world.path("a.png")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(world.read("", 99), pairs(&[("a.png", ""), ("f.png", "")]));
    // Written anew.
    world.write("d.png", &[PNG, b"more"].concat());
    assert_eq!(world.read("", 99), pairs(&[("d.png", "")]));
}

#[test]
fn a_folder_that_is_followed_yields_what_arrives_and_leaves_what_is_being_written() {
    let mut world = World::new();
    world.write("a.png", PNG);
    let mut reader = world.reader(r#","every":0.05"#);
    assert!(matches!(reader.next().unwrap().unwrap().content, Content::Record(_)));
    world.write("sub/b.png", PNG);
    assert!(matches!(reader.next().unwrap().unwrap().content, Content::Record(_)));
    reader.live.cancel.cancel();
    assert!(reader.next().unwrap().is_none());
    // Its clock is that of the files: they were written just now.
    world.known.clear();
    let mut early = world.reader(r#","every":3600"#);
    early.live.clock = Arc::new(ManualClock::at(0));
    assert!(early.look().unwrap() && early.waiting.is_empty());
}
