//! What stands beside a file: joined files, files that rows name, and rows that are several records.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

struct World(tempfile::TempDir);

impl World {
    fn new(files: &[(&str, &str)]) -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(file, text)| world.write(file, text));
        world
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        fs::write(self.path(file), text).unwrap();
    }

    fn try_read(&self, text: &str, options: &str, fields: &str, at: Position) -> Result<Vec<Item>, Error> {
        let schema = RecordSchema::parse(&format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#)).unwrap();
        let declared = declared(options);
        assert_eq!(declared.faults(Some(&schema)), Vec::<String>::new());
        let reader = Cursor::new(text.as_bytes().to_vec());
        let mut reader = CsvReader::open(reader, text.len() as u64, "f.csv", self.0.path(), &declared, &schema, at)?;
        let mut items = Vec::new();
        while let Some(item) = reader.next()? {
            items.push(item);
        }
        Ok(items)
    }

    fn read(&self, text: &str, options: &str, fields: &str) -> Vec<Item> {
        self.try_read(text, options, fields, Position::default()).unwrap()
    }

    fn fault(&self, text: &str, options: &str, fields: &str) -> String {
        self.try_read(text, options, fields, Position::default()).unwrap_err().to_string()
    }
}

/// The values of each record, or the kind of the reason why it is none.
fn told(items: &[Item]) -> Vec<String> {
    let told = |item: &Item| match &item.content {
        Content::Record(record) => {
            let values = record.values.iter().map(|value| match value {
                Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                value => value.to_text().unwrap_or_else(|| "-".to_owned()),
            });
            values.collect::<Vec<_>>().join(" ")
        }
        Content::Unreadable { reason, .. } => reason.kind().to_owned(),
        other => panic!("{other:?}"),
    };
    items.iter().map(told).collect()
}

const LABELLED: &str = r#"{"name":"row","type":"long"},{"name":"category","type":["null","long"]}"#;
const JOIN: &str =
    r#"{"columns":{"":"row"},"join":{"path":"y.csv","on":"","columns":{"code":"category"},"required":false}}"#;

fn required(options: &str) -> String {
    options.replace(r#","required":false"#, "")
}

#[test]
fn a_joined_file_adds_its_columns_to_the_rows_that_share_its_key() {
    let world = World::new(&[("y.csv", "code,,note\n60,1,x\n70, 0 ,\n,2,\n?,3,\n")]);
    let found = world.read("\"\"\n0\n1\n2\n3\n4\n", JOIN, LABELLED);
    assert_eq!(told(&found), ["0 70", "1 60", "2 -", "WrongType", "4 -"]);
    let Content::Unreadable { reason, original } = &found[3].content else { panic!() };
    assert!(reason.to_string().contains("y.csv:5, column `code`"), "{reason}");
    assert_eq!(original, b"3");
    assert_eq!(told(&world.read("\"\"\n0\n4\n", &required(JOIN), LABELLED)), ["0 70", "NoMatch"]);
}

#[test]
fn a_joined_file_may_be_missing_only_if_the_pipeline_says_so() {
    let world = World::new(&[]);
    assert_eq!(told(&world.read("\"\"\n7\n", JOIN, LABELLED)), ["7 -"]);
    let fault = world.fault("\"\"\n7\n", &required(JOIN), LABELLED);
    assert!(fault.contains("y.csv` cannot be opened"), "{fault}");
}

#[test]
fn faults_of_a_joined_file_name_file_line_and_column() {
    let cases = [
        ("code,\n60,0\n70,1\n80,0\n", "y.csv:4`, which is joined: column ``: the key `0` stands in line 2"),
        ("code,row\n60,0\n", "y.csv:1`, which is joined: `join` needs the column ``, and the file has `code`, `row`"),
        ("cod,\n60,0\n", "did you mean `cod`?"),
        ("code,\n60\n", "y.csv:2`, which is joined: 1 cells where the header has 2"),
        ("code,\n60, \n", "y.csv:2`, which is joined: column ``: a row without a key"),
        ("", "has no header"),
    ];
    for (joined, part) in cases {
        let fault = World::new(&[("y.csv", joined)]).fault("\"\"\n0\n", JOIN, LABELLED);
        assert!(fault.contains(part), "{part}: {fault}");
    }
    let world = World::new(&[("y.csv", "code,id\n60,0\n")]);
    let on_id = JOIN.replace(r#""on":"""#, r#""on":"id""#);
    let fault = world.fault("\"\",idd\n0,0\n", &on_id, LABELLED);
    assert!(fault.contains("f.csv") && fault.contains("`id`") && fault.contains("did you mean `idd`?"), "{fault}");
    let fault = world.fault("\"\",id,category\n0,0,1\n", &on_id, LABELLED);
    assert!(fault.contains("both fill the field `category`"), "{fault}");
}

const PICTURED: &str = r#"{"name":"row","type":"long"},{"name":"image","type":["null","bytes"]}"#;
const FILES: &str = r#"{"files":[{"field":"image","path":"i/{a}_{b}.png","required":false,"max_bytes":9}]}"#;

#[test]
fn a_file_that_a_row_names_fills_its_field_and_what_is_wrong_with_one_costs_its_row() {
    let world = World::new(&[("i/1_x.png", "one"), ("i/big_x.png", "0123456789"), ("secret.png", "secret")]);
    fs::create_dir(world.path("i/dir_x.png")).unwrap();
    let elsewhere = World::new(&[("x.png", "x")]);
    symlink(elsewhere.path("x.png"), world.path("i/link_x.png")).unwrap();
    symlink(world.path("secret.png"), world.path("i/in_x.png")).unwrap();
    let text = "row,a,b\n1,1,x\n2,2,x\n3,,x\n4,big,x\n5,dir,x\n6,link,x\n7,in,x\n8,../secret,x\n9,1,x/../1_x\n10,1,x\n";
    let found = told(&world.read(text, FILES, PICTURED));
    let wanted = [
        "1 one",
        "2 -",
        "3 -",
        "TooLong",
        "UnreadableFile",
        "ForbiddenLink",
        "7 secret",
        "ForbiddenPath",
        "ForbiddenPath",
        "10 one",
    ];
    assert_eq!(found, wanted);
    let found = world.read("row,a,b\n2,2,x\n3,,x\n", &required(FILES), PICTURED);
    assert_eq!(told(&found), ["MissingFile", "MissingFile"]);
    let Content::Unreadable { reason, original } = &found[0].content else { panic!() };
    assert_eq!((reason.to_string().as_str(), original.as_slice()), ("file `i/2_x.png` does not exist", &b"2,2,x"[..]));
    // Its bytes count, though they do not stand in the file.
    assert_eq!(world.read(text, FILES, PICTURED)[0].weight(), 3);
}

#[test]
fn a_column_that_names_a_file_must_be_there_and_may_have_the_name_of_its_field() {
    let world = World::new(&[("i/1.png", "one")]);
    let fault = world.fault("row,a,bb\n1,1,x\n", FILES, PICTURED);
    assert!(fault.contains("`files` needs the column `b`") && fault.contains("did you mean `bb`?"), "{fault}");
    let named = r#"{"files":[{"field":"image","path":"i/{image}"}]}"#;
    assert_eq!(told(&world.read("row,image\n1,1.png\n", named, PICTURED)), ["1 one"]);
    let fault = world.fault("row,image,a,b\n1,1,1,1\n", FILES, PICTURED);
    assert!(fault.contains("both fill the field `image`"), "{fault}");
}

const PRICES: &str = r#"{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"region","type":"string"},{"name":"rate","type":["null","double"]}"#;
const UNPIVOT: &str =
    r#"{"unpivot":{"columns":["US","EU","KR"],"name":"region","value":"rate"},"replace":{"region":{"EU":"eu"}}}"#;
const WIDE: &str = "at,EU,US\n1,2.5,3\n2,,4\n\n3,,\n4,x,5\nbad,1,2\n5,6\n6,7,8";

#[test]
fn each_cell_of_a_wide_row_is_a_record_and_empty_ones_are_passed_over() {
    let world = World::new(&[]);
    let found = world.read(WIDE, UNPIVOT, PRICES);
    let wanted = [
        "1 eu 2.5",
        "1 US 3",
        "2 US 4",
        "WrongType",
        "4 US 5",
        "WrongType",
        "WrongType",
        "CellCount",
        "6 eu 7",
        "6 US 8",
    ];
    assert_eq!(told(&found), wanted);
    assert_eq!(found.iter().map(|item| item.line).collect::<Vec<_>>(), [2, 2, 3, 6, 6, 7, 7, 8, 9, 9]);
    let Content::Unreadable { original, .. } = &found[3].content else { panic!() };
    assert_eq!(original, b"4,x,5");
    let kept = UNPIVOT.replace(r#""value":"rate""#, r#""value":"rate","keep_empty":true"#);
    assert_eq!(told(&world.read(WIDE, &kept, PRICES))[2..6], ["2 eu -", "2 US 4", "3 eu -", "3 US -"]);
}

#[test]
fn going_on_within_a_wide_row_gives_what_was_not_interrupted() {
    let world = World::new(&[]);
    for unknown in ["", ",note"] {
        let text = if unknown.is_empty() { WIDE.to_owned() } else { WIDE.replace("US\n", "US,note\n") };
        let whole = world.read(&text, UNPIVOT, PRICES);
        assert_eq!(
            whole.iter().map(|item| item.sequence).collect::<Vec<_>>(),
            (0..whole.len() as u64).collect::<Vec<_>>()
        );
        for cut in 0..whole.len() {
            let rest = world.try_read(&text, UNPIVOT, PRICES, whole[cut].next).unwrap();
            assert_eq!(rest, whole[cut + 1..], "after item {cut}");
        }
    }
}

#[test]
fn a_wide_row_has_as_many_items_whether_it_can_be_read_or_not() {
    let options = r#"{"columns":{"id":"row"},"join":{"path":"y.csv","on":"id","columns":{"code":"category"}},
        "unpivot":{"columns":["a","b"],"name":"name","value":"value"}}"#;
    let fields = format!(r#"{LABELLED},{{"name":"name","type":"string"}},{{"name":"value","type":"string"}}"#);
    let world = World::new(&[("y.csv", "id,code\n1,10\n")]);
    let text = "id,a,b\n1,x,y\n2,x,y\n";
    assert_eq!(told(&world.read(text, options, &fields)), ["1 10 a x", "1 10 b y", "NoMatch", "NoMatch"]);
    let unknown = world.read("id,a,c\n1,x,y\n", options, &fields);
    assert_eq!(told(&unknown), ["UnknownColumn"]);
}

#[test]
fn a_file_needs_one_of_the_columns_that_are_unpivoted() {
    let world = World::new(&[]);
    let fault = world.fault("at,DE\n1,2\n", UNPIVOT, PRICES);
    assert!(fault.contains("none of `US`, `EU`, `KR`") && fault.contains("`at`, `DE`"), "{fault}");
    let fault = world.fault("at,region,US\n1,a,2\n", UNPIVOT, PRICES);
    assert!(fault.contains("both fill the field `region`"), "{fault}");
}

#[test]
fn dates_are_read_by_their_format_and_defaults_fill_what_is_not_given() {
    let world = World::new(&[]);
    let options = r#"{"columns":{"Date":"at","VALUE":"rate"},"formats":{"at":"%m/%d/%Y"},"defaults":{"region":""},
        "null":["","."]}"#;
    let found = told(&world.read("Date,VALUE\n1/2/1986,25.56\n2/17/1986,.\n1986-01-02,1\n", options, PRICES));
    assert_eq!(found, ["505008000000  25.56", "508982400000  -", "WrongType"]);
    let plain = r#"{"columns":{"timestamp_ms":"at","timestamp":"at"},"defaults":{"region":"eu"}}"#;
    let found = told(&world.read("timestamp_ms,rate,region\n1000,1,us\n2000,2,\n", plain, PRICES));
    assert_eq!(found, ["1000 us 1", "2000 eu 2"]);
    let found = told(&world.read("timestamp,rate\n1970-01-01T00:00:01.009Z,1\n1970-01-02,2\n", plain, PRICES));
    assert_eq!(found, ["1009 eu 1", "86400000 eu 2"]);
}
