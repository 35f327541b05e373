//! A folder of images.

use std::path::Path;

use super::produce_killed_at;
use crate::harness::{Options, Stack};

const PIPELINE: &str = "
version: 1
name: photos
schema: record.avsc
topics: { partitions: 2 }
sources:
  - name: folder
    rate: 50
    images: { path: pictures, every: 0.2, fields: { bytes: picture, label: species } }
features: [{ name: size }]
label: { field: species, classes: [setosa, virginica] }
training: { algorithm: random_forest, min_rows: 100000 }
";
const SCHEMA: &str = r#"{"type":"record","name":"photo","fields":[{"name":"path","type":"string"},
    {"name":"picture","type":"bytes"},{"name":"size","type":"long"},{"name":"species","type":["null","string"]}]}"#;

/// A picture whose size is its number, and a hundred.
fn picture(number: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.resize(number + 92, 7);
    bytes.extend_from_slice(b"IEND\xAE\x42\x60\x82");
    bytes
}

fn add(pipelines: &Path, file: &str, bytes: &[u8]) {
    let path = pipelines.join("photos/pictures").join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn photos(pipelines: &Path) {
    let folder = pipelines.join("photos");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("pipeline.yaml"), PIPELINE).unwrap();
    std::fs::write(folder.join("record.avsc"), SCHEMA).unwrap();
    for number in 0..60 {
        let label = if number % 2 == 0 { "setosa" } else { "virginica" };
        add(pipelines, &format!("{label}/{:02}.png", 59 - number), &picture(number));
    }
    add(pipelines, "setosa/cut.png", &picture(500)[..300]);
    add(pipelines, "setosa/notes.txt", b"not a picture");
    std::os::unix::fs::symlink("/etc/hostname", pipelines.join("photos/pictures/out.png")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_image_of_a_folder_arrives_once_and_what_is_none_is_kept_apart() {
    let stack = Stack::start(Options { sources: false, edit: photos, ..Options::default() }).await;
    let plan = stack.cli_ok(&["check", "photos"]).await;
    assert!(plan.contains("images of pictures and folders inside, every 0.2 s"), "{plan}");
    let mut process = produce_killed_at(&stack, ("photos", "folder"), &[], &[8, 33]).await;
    let count = "SELECT count(), uniqExact(size), countIf(label = 'setosa') FROM photos_features";
    stack.sql_becomes(count, "60\t60\t30").await;
    // Before all others by name, after them in time.
    add(&stack.pipelines, "setosa/00-late.png", &picture(60));
    stack.sql_becomes(count, "61\t61\t31").await;
    let letters = "SELECT arraySort(groupArray((error, splitByChar('/', source)[-1]))) FROM photos_dead_letters";
    let wanted = "[('ForbiddenLink','out.png'),('NoImage','notes.txt'),('TruncatedImage','cut.png')]";
    stack.sql_becomes(letters, wanted).await;
    assert!(process.stop());
    assert_eq!(stack.sql(count).await, "61\t61\t31");
    let audit = stack.cli_ok(&["audit", "photos"]).await;
    assert!(audit.contains("balanced"), "{audit}");
}
