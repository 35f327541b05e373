//! From a URL and the usual `AWS_*` variables to a client of S3.

use std::collections::BTreeMap;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};
use url::Url;

/// How often the client itself repeats a call. Few: who called knows best how long to go on.
const RETRIES: usize = 3;
/// Between a call that failed and its repetition, at first.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How long a server may be silent within a call.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a call may take altogether.
const CALL: Duration = Duration::from_secs(600);

/// A client, and what of it others need to know.
pub(super) struct Opened {
    pub(super) client: AmazonS3,
    pub(super) prefix: Path,
    /// The store for people, without anything secret.
    pub(super) place: String,
    /// No key was given, so the machine is asked for one.
    pub(super) keyless: bool,
}

/// Opens `s3://bucket/prefix`. `environment` has the `AWS_*` variables; those the client does not know are passed over.
pub(super) fn open(url: &Url, environment: &BTreeMap<String, String>) -> Result<Opened, String> {
    let bucket = url.host_str().filter(|host| !host.is_empty());
    let bucket = bucket.ok_or("names no bucket: write s3://bucket/prefix")?;
    let prefix = Path::from_url_path(url.path()).map_err(|e| e.to_string())?;
    let given = |names: &[&'static str]| given(environment, names);

    match (given(&["AWS_ACCESS_KEY_ID"]), given(&["AWS_SECRET_ACCESS_KEY"])) {
        (Some(_), None) => return Err("AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not: set both".to_owned()),
        (None, Some(_)) => return Err("AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not: set both".to_owned()),
        _ => {}
    }
    let endpoint = given(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]);
    if let Some((name, endpoint)) = endpoint {
        let address = Url::parse(endpoint).ok().filter(|address| address.has_host());
        let address = address.ok_or(format!("{name} is no URL: write https://host:port"))?;
        if !address.username().is_empty() || address.password().is_some() {
            return Err(format!("{name} holds a login: give it by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
        }
        let plain =
            given(&["AWS_ALLOW_HTTP"]).is_some_and(|(_, value)| value.eq_ignore_ascii_case("true") || value == "1");
        if address.scheme() == "http" && !plain {
            return Err(format!(
                "{name} is {address}, where everybody on the way reads along: give an https address, or set \
                 AWS_ALLOW_HTTP=true if that is meant"
            ));
        }
    }

    let mut options = ClientOptions::new().with_timeout(CALL).with_read_timeout(SILENCE);
    if let Some((_, file)) = given(&["AWS_CA_BUNDLE"]) {
        let unusable =
            |e: String| format!("AWS_CA_BUNDLE names `{file}`, which is no usable file of certificates: {e}");
        let pem = std::fs::read(file).map_err(|e| unusable(e.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| unusable(e.to_string()))?;
        if certificates.is_empty() {
            return Err(unusable("it holds none".to_owned()));
        }
        options = certificates.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    let retry = RetryConfig {
        backoff: BackoffConfig { init_backoff: FIRST_PAUSE, ..BackoffConfig::default() },
        max_retries: RETRIES,
        ..RetryConfig::default()
    };
    let known = environment.iter().filter(|(_, value)| !value.is_empty()).filter_map(|(name, value)| {
        let key: AmazonS3ConfigKey = name.to_ascii_lowercase().parse().ok()?;
        Some((key, value))
    });
    let builder = AmazonS3Builder::new().with_client_options(options).with_retry(retry);
    let builder = known.fold(builder, |builder, (key, value)| builder.with_config(key, value));
    // The bucket is the URL's, whatever the variables say.
    let client = builder.with_bucket_name(bucket).build().map_err(|e| e.to_string())?;

    let at = endpoint.map(|(_, endpoint)| format!(" at {endpoint}")).unwrap_or_default();
    let other_keys = [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_SKIP_SIGNATURE",
    ];
    let place = format!("s3://{bucket}{}{prefix}{at}", if prefix.as_ref().is_empty() { "" } else { "/" });
    Ok(Opened { client, prefix, place, keyless: given(&other_keys).is_none() })
}

/// The first of these variables that is set.
fn given<'a>(environment: &'a BTreeMap<String, String>, names: &[&'static str]) -> Option<(&'static str, &'a str)> {
    names.iter().filter_map(|name| Some((*name, environment.get(*name)?.as_str()))).find(|(_, value)| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(url: &str, variables: &[(&str, &str)]) -> Result<Opened, String> {
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        open(&Url::parse(url).unwrap(), &environment)
    }

    const KEY: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "s3cr3t")];

    #[test]
    fn a_place_is_bucket_prefix_and_server_and_no_secret() {
        let aws = opened("s3://models", &KEY).unwrap();
        assert_eq!((aws.place.as_str(), aws.keyless), ("s3://models", false));
        for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"] {
            let server = [KEY[0], KEY[1], (name, "https://s3.example.com")];
            let own = opened("s3://models/a/b/", &server).unwrap();
            assert_eq!(own.place, "s3://models/a/b at https://s3.example.com");
        }
        assert!(opened("s3://models", &[]).unwrap().keyless);
    }

    #[test]
    fn settings_that_do_not_do_are_refused_with_what_would() {
        let with = |more: &[(&str, &str)]| opened("s3://models", &[&KEY[..], more].concat()).err().unwrap();
        for (said, wanted) in [
            (opened("s3://models", &KEY[..1]).err().unwrap(), "AWS_SECRET_ACCESS_KEY is not"),
            (opened("s3://models", &KEY[1..]).err().unwrap(), "AWS_ACCESS_KEY_ID is not"),
            (with(&[("AWS_ENDPOINT_URL", "s3.example.com")]), "is no URL"),
            (with(&[("AWS_ENDPOINT_URL", "http://s3.example.com")]), "AWS_ALLOW_HTTP=true"),
            (with(&[("AWS_ENDPOINT_URL", "https://u:p@s3.example.com")]), "holds a login"),
            (with(&[("AWS_CA_BUNDLE", "/nowhere")]), "AWS_CA_BUNDLE"),
        ] {
            assert!(said.contains(wanted) && !said.contains("s3cr3t"), "{said}");
        }
        assert!(opened("s3:///prefix", &KEY).err().unwrap().contains("names no bucket"));
    }

    #[test]
    fn a_bundle_without_certificates_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("empty.pem");
        std::fs::write(&file, "").unwrap();
        let variables = [&KEY[..], &[("AWS_CA_BUNDLE", file.to_str().unwrap())]].concat();
        assert!(opened("s3://models", &variables).err().unwrap().contains("holds none"));
    }
}
