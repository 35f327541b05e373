use std::sync::Arc;

use driftmill_platform::clock::ManualClock;
use driftmill_schemas::pipeline::load;

use super::*;
use crate::job::{Job, Overrides, preview};
use crate::source::Content;

const SCHEMA: &str = r#"{"type":"record","name":"r","fields":[{"name":"id","type":"long"},
    {"name":"y","type":["null","string"]},{"name":"image","type":["null","bytes"]}]}"#;
const PIPELINE: &str = "
version: 1
name: t
schema: record.avsc
sources:
  - name: followed
    images: { path: photos, every: 5, fields: { bytes: image, size: id, label: y } }
  - name: joined
    csv:
      path: x.csv
      columns: { '': id }
      join: { path: y.csv, on: '', columns: { label: y }, required: false }
      files: [{ field: image, path: 'i/{name}', required: false }]
  - name: dated
    csv: { path: data/d.csv, columns: { Number: id }, ignore: [note] }
  - name: photos
    images: { path: photos, fields: { bytes: image, size: id, label: y } }
features: [{ name: id }]
label: { field: y, classes: [a, b] }
training: { algorithm: constant }
";
const PNG: &str = "\u{fffd}";

struct World {
    folder: tempfile::TempDir,
    loaded: Arc<Loaded>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("p")).unwrap();
        fs::write(folder.path().join("p/pipeline.yaml"), PIPELINE).unwrap();
        fs::write(folder.path().join("p/record.avsc"), SCHEMA).unwrap();
        let loaded = Arc::new(load(&folder.path().join("p/pipeline.yaml")).unwrap());
        fs::create_dir(folder.path().join("data")).unwrap();
        Self { folder, loaded }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join("data").join(file)
    }

    fn write(&self, file: &str, text: &str) {
        fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        fs::write(self.path(file), text).unwrap();
    }

    /// The source that reads what lies at `path` in the folder of data.
    fn chosen(&self, path: &str) -> String {
        match source_for(&self.loaded, &self.path(path)) {
            Ok(source) => source.name,
            Err(error) => error.to_string(),
        }
    }

    /// The records that `given` has by the source that reads it.
    fn records(&self, given: &str) -> Vec<String> {
        let given = self.path(given);
        let source = source_for(&self.loaded, &given).unwrap();
        let overrides = Overrides { from: Some(given), ..Overrides::default() };
        let (loaded, framing) = (Arc::clone(&self.loaded), Job::fingerprint(&self.loaded));
        let job = Job { loaded, source, overrides, pipe: None, framing };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let items = runtime.block_on(async { preview(&job, 99, Arc::new(ManualClock::at(0))) }).unwrap();
        let told = |content| match content {
            Content::Record(record) => {
                record.values.iter().map(|value| value.to_text().unwrap_or_default()).collect::<Vec<_>>().join(",")
            }
            Content::Unreadable { reason, .. } => reason.kind().to_owned(),
            other => panic!("{other:?}"),
        };
        items.into_iter().map(|item| told(item.content)).collect()
    }
}

#[test]
fn a_folder_is_read_by_the_first_source_whose_files_are_in_it_with_what_lies_beside() {
    let world = World::new();
    world.write("x.csv", ",name\n1,one\n2,two\n");
    world.write("y.csv", ",label\n2,b\n");
    world.write("i/one", "1");
    assert_eq!(world.chosen(""), "joined");
    assert_eq!(world.records(""), ["1,,MQ==", "2,b,"]);
    assert_eq!(world.records("x.csv"), ["1,,MQ==", "2,b,"]);
}

#[test]
fn a_file_of_another_name_is_found_by_its_header() {
    let world = World::new();
    world.write("data.CSV", "Number,note\n7,x\n");
    world.write("others.csv", "category,title\n7,x\n");
    world.write("readme.txt", "Number\n");
    assert_eq!(world.chosen(""), "dated");
    assert_eq!(world.records(""), ["7,,"]);
    // A second one that fits as well leaves open which is meant.
    world.write("more.csv", "Number\n7\n");
    let text = world.chosen("");
    assert!(text.contains("several others have its columns") && text.contains("more.csv"), "{text}");
    // One with columns that nobody knows does not count beside one without.
    world.write("more.csv", "Number,what\n7,8\n");
    assert_eq!(world.records(""), ["7,,"]);
    fs::remove_file(world.path("data.CSV")).unwrap();
    world.write("plain.csv", "id\n9\n");
    assert_eq!(world.records(""), ["9,,"]);
    world.write("data/d.csv", "Number\n8\n");
    assert_eq!(world.records(""), ["8,,"], "the declared path comes first");
}

#[test]
fn images_are_a_folder_and_a_source_that_goes_on_reads_none() {
    let world = World::new();
    world.write("a/1.png", PNG);
    assert_eq!(world.chosen(""), "photos");
    assert_eq!(world.records(""), ["NoImage"]);
}

#[test]
fn what_each_source_looked_for_is_told() {
    let world = World::new();
    world.write("z.csv", "n\n7\n");
    let text = world.chosen("");
    for part in [
        "is read by no source of pipeline `t`",
        "`joined` looked for `x.csv` or one *.csv with its columns (",
        "z.csv",
        "`dated` looked for `data/d.csv`",
        "has no column for the field `id`",
        "`photos` looked for images",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("followed"), "{text}");
}

#[test]
fn a_file_is_read_by_the_source_whose_columns_it_has() {
    let world = World::new();
    let cases = [
        ("a.csv", ",name\n", "joined"),
        ("b.csv", "Number\n", "dated"),
        ("c.csv", "id,y\n", "dated"),
        ("d.csv", "id,name\n", "joined"),
        ("e.tsv", "id\ty\n", "file"),
        ("f.jsonl", "", "file"),
        ("g.parquet", "", "file"),
    ];
    for (file, text, wanted) in cases {
        world.write(file, text);
        assert_eq!(world.chosen(file), wanted, "{file}");
    }
    world.write("h.csv", "what\n");
    let text = world.chosen("h.csv");
    assert!(text.contains("`joined`:") && text.contains("`dated`:") && text.contains("`what`"), "{text}");
    world.write("i.doc", "");
    assert!(world.chosen("i.doc").contains("--source"));
}
