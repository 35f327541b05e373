//! Items that are found by what they are, in a log that loses what a real one may lose.

use std::collections::BTreeSet;

use super::*;

const FILES: usize = 24;

impl World {
    /// A world with a folder of images; every fifth file is none.
    fn with_images(seed: u64) -> Self {
        let world = Self::new(false, seed);
        let source = "sources:\n  - name: photos\n    images: { path: photos, fields: { size: x } }\n";
        std::fs::write(world.path("pipeline.yaml"), PIPELINE.replace("sources:\n", source)).unwrap();
        let path = r#",{"name":"path","type":["null","string"]},{"name":"bytes","type":["null","bytes"]}]}"#;
        let schema =
            SCHEMA.replace(r#""type":"long""#, r#""type":["null","long"]"#).replace("]}]}", &format!("]}}{path}"));
        std::fs::write(world.path("record.avsc"), schema).unwrap();
        std::fs::create_dir(world.path("photos")).unwrap();
        for number in 0..FILES {
            world.write_image(number);
        }
        world
    }

    fn write_image(&self, number: usize) {
        let whole: &[u8] = if number % 5 == 2 { b"" } else { b"IEND\xAE\x42\x60\x82" };
        let bytes = [b"\x89PNG\r\n\x1a\n".as_slice(), &number.to_le_bytes(), whole].concat();
        std::fs::write(self.path(&format!("photos/{number:03}.png")), bytes).unwrap();
    }

    /// What every message is known by; none twice.
    fn identities(&self) -> BTreeSet<String> {
        let stored = [self.sink.stored("t.raw"), self.sink.stored("t.rejected")];
        let messages: Vec<_> = stored.into_iter().flatten().flatten().collect();
        let names: BTreeSet<_> = messages.iter().map(|message| text_of(message, SEQUENCE_HEADER)).collect();
        assert_eq!(names.len(), messages.len(), "some came twice");
        names
    }
}

async fn killed_anywhere(every: Duration) {
    for steps in 0.. {
        let world = World::with_images(steps);
        let job = world.job("photos", Overrides::default());
        world.sink.stop_after(steps);
        let killed = world.run_and_be_killed(&job, every).await;
        for more in [7, 1, 19] {
            world.sink.stop_after(more);
            world.run_and_be_killed(&job, every).await;
        }
        let summary = world.produce(&job, every, &CancellationToken::new()).await.unwrap();
        assert_eq!((summary.position.sequence, summary.complete), (FILES as u64, true), "after {steps} steps");
        assert_eq!(world.identities().len(), FILES, "killed after {steps} steps");
        assert!(world.checkpoints().last().unwrap().clean);
        // What is known is known by the next run, too, and what is added is found.
        world.write_image(FILES);
        let summary = world.produce(&job, every, &CancellationToken::new()).await.unwrap();
        assert_eq!((summary.sent, summary.skipped_already_there), (1, FILES as u64));
        if !killed {
            assert!(steps > 40, "only {steps} steps were tried");
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn killed_after_any_step_no_file_is_lost_or_twice() {
    killed_anywhere(Duration::from_secs(86_400)).await;
    killed_anywhere(Duration::ZERO).await;
}
