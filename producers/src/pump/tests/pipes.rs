//! Pipes: read once, as it comes, and gone on with by number.

use std::io::{self, Read};
use std::sync::mpsc;

use super::*;
use crate::source::{Pipe, PipeFormat};

impl World {
    /// A job that reads `input` as the source called `source` declares.
    fn piped(&self, source: &str, input: impl Read + Send + 'static, overrides: Overrides) -> Job {
        Job { pipe: Some(Pipe::new(input, PipeFormat::Declared)), ..self.job(source, overrides) }
    }

    fn bytes(&self, file: &str) -> io::Cursor<Vec<u8>> {
        io::Cursor::new(std::fs::read(self.path(file)).unwrap())
    }

    async fn send(&self, job: &Job) -> Result<Summary, Error> {
        self.produce(job, CHECKPOINT_EVERY, &CancellationToken::new()).await
    }
}

const SOURCES: [(&str, &str); 2] = [("rows", "rows.csv"), ("lines", "rows.jsonl")];

fn anew(skip: u64) -> Overrides {
    Overrides { restart: true, skip, ..Overrides::default() }
}

#[tokio::test(start_paused = true)]
async fn a_pipe_gives_what_the_file_gives_and_skip_passes_over_its_beginning() {
    for (source, file) in SOURCES {
        let (by_file, by_pipe) = (World::new(true, 1), World::new(true, 1));
        by_file.run(source, Overrides::default()).await.unwrap();
        let summary = by_pipe.send(&by_pipe.piped(source, by_pipe.bytes(file), anew(0))).await.unwrap();
        assert_eq!((summary.sent, summary.unreadable, summary.position.sequence), (51, 9, 60));
        assert!(summary.first_unreadable[0].place.starts_with("stdin:"), "{summary:?}");
        let payloads = |world: &World| world.items().into_iter().map(|(n, m)| (n, m.payload)).collect::<Vec<_>>();
        assert_eq!(payloads(&by_file), payloads(&by_pipe), "{source}");

        by_pipe.send(&by_pipe.piped(source, by_pipe.bytes(file), anew(58))).await.unwrap();
        assert_eq!(by_pipe.numbers()[58..], [58, 58, 59, 59]);
        let short = by_pipe.send(&by_pipe.piped(source, by_pipe.bytes(file), anew(61))).await.unwrap_err();
        assert!(matches!(short, Error::TooShort { skip: 61 }), "{short}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pipe_that_is_killed_anywhere_goes_on_exactly_when_it_is_fed_again() {
    for (source, file) in SOURCES {
        for steps in 0.. {
            let world = World::new(false, steps);
            let job = |overrides| world.piped(source, world.bytes(file), overrides);
            world.sink.stop_after(steps);
            let killed = world.run_and_be_killed(&job(anew(0)), Duration::from_secs(86_400)).await;
            for more in [9, 2] {
                world.sink.stop_after(more);
                world.run_and_be_killed(&job(Overrides::default()), Duration::ZERO).await;
            }
            world.send(&job(Overrides::default())).await.unwrap();
            assert_eq!(world.numbers(), (0..60).collect::<Vec<_>>(), "{source} killed after {steps} steps");
            if !killed {
                assert!(steps > 100);
                break;
            }
        }
    }
}

/// Gives what the test sends it, and waits in between.
struct Live(mpsc::Receiver<Vec<u8>>, Vec<u8>);

impl Read for Live {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.is_empty() {
            match self.0.recv() {
                Ok(bytes) => self.1 = bytes,
                Err(_) => return Ok(0),
            }
        }
        let count = self.1.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.1[..count]);
        self.1.drain(..count);
        Ok(count)
    }
}

#[tokio::test]
async fn a_row_is_sent_when_it_is_written_and_a_silent_pipe_can_be_stopped() {
    let world = World::new(false, 3);
    let (writer, reader) = mpsc::channel();
    let job = world.piped("lines", Live(reader, Vec::new()), anew(0));
    let cancel = CancellationToken::new();
    let mut progress = world.progress.subscribe();
    let writing = async {
        for id in 0..3_u64 {
            let line = format!("{{\"id\":{id}}}\n");
            let (head, tail) = line.split_at(4);
            writer.send(head.as_bytes().to_vec()).unwrap();
            writer.send(tail.as_bytes().to_vec()).unwrap();
            // It arrives although nothing more is written and the pipe stays open.
            progress.wait_for(|progress| progress.sent == id + 1).await.unwrap();
        }
        cancel.cancel();
    };
    let (summary, ()) = tokio::join!(world.produce(&job, CHECKPOINT_EVERY, &cancel), writing);
    let summary = summary.unwrap();
    assert_eq!((summary.sent, summary.complete, summary.position.sequence), (3, false, 3));
    drop(writer);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_cut_off_is_not_sent_and_comes_whole_the_next_time() {
    for (source, whole, cut) in [("lines", "{\"id\":0}\n{\"id\":1}\n", 12), ("rows", "id,x,y\n0,1,1\n1,\"2\",1\n", 16)]
    {
        let world = World::new(false, 4);
        let job = |text: &str, overrides| world.piped(source, io::Cursor::new(text.as_bytes().to_vec()), overrides);
        let error = world.send(&job(&whole[..cut], anew(0))).await.unwrap_err();
        assert!(matches!(error, Error::CutOff { row: 2, .. }), "{error}");
        assert_eq!(world.progress.borrow().position.sequence, 1);
        world.send(&job(whole, Overrides::default())).await.unwrap();
        assert_eq!(world.numbers(), [0, 1]);
        assert!(world.sink.stored("t.rejected").concat().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_pipe_is_read_once_and_files_have_no_rows_to_pass_over() {
    let world = World::new(false, 5);
    let job = world.piped("rows", world.bytes("rows.csv"), anew(0));
    world.send(&job).await.unwrap();
    assert!(matches!(world.send(&job).await, Err(Error::PipeTaken)));
    for (job, part) in [
        (world.job("rows", anew(1)), "pipe only"),
        (world.piped("made", io::empty(), anew(0)), "name a source of text"),
    ] {
        let error = world.send(&job).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_avro_container_is_read_and_a_broken_one_told_with_its_block() {
    // Two records {id: 1}, {id: -1}: each varint is one byte.
    let schema = r#"{"type":"record","name":"r","fields":[{"name":"id","type":"int"}]}"#;
    let mut bytes = b"Obj\x01\x02\x16avro.schema".to_vec();
    bytes.extend([(schema.len() as u8 * 2) | 0x80, (schema.len() >> 6) as u8]);
    bytes.extend(schema.bytes());
    bytes.push(0);
    bytes.extend([9; 16]);
    for _ in 0..2 {
        bytes.extend([4, 4, 2, 1]);
        bytes.extend([9; 16]);
    }
    let world = World::new(false, 6);
    let job = |bytes: &[u8], overrides| {
        let pipe = Some(Pipe::new(io::Cursor::new(bytes.to_vec()), PipeFormat::Avro));
        Job { pipe, ..world.job("lines", overrides) }
    };
    let error = world.send(&job(&bytes[..bytes.len() - 3], anew(0))).await.unwrap_err().to_string();
    assert!(error.contains("block 1"), "{error}");
    let summary = world.send(&job(&bytes, Overrides::default())).await.unwrap();
    assert_eq!((summary.sent, summary.skipped_already_there), (2, 2));
    assert_eq!(world.numbers(), [0, 1, 2, 3]);
}
