//! Where the MLflow server is and who we are there: the environment variables of MLflow's own clients.

use std::fmt;

use url::Url;

use crate::Error;

const URI: &str = "MLFLOW_TRACKING_URI";
const USERNAME: &str = "MLFLOW_TRACKING_USERNAME";
const PASSWORD: &str = "MLFLOW_TRACKING_PASSWORD";
const TOKEN: &str = "MLFLOW_TRACKING_TOKEN";

/// A server and our login.
#[derive(Debug, Clone)]
pub struct MlflowSettings {
    pub(crate) base: Url,
    pub(crate) login: Option<Login>,
}

/// Who we are. Shows no secret.
#[derive(Clone)]
pub(crate) enum Login {
    Basic { user: String, password: String },
    Bearer(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { user, .. } => f.debug_struct("Basic").field("user", user).finish_non_exhaustive(),
            Self::Bearer(_) => f.write_str("Bearer(..)"),
        }
    }
}

impl MlflowSettings {
    /// The server at `uri`, which may be below a path (`https://host/mlflow`) and may hold a login
    /// (`https://user:password@host`).
    pub fn new(uri: &str) -> Result<Self, Error> {
        // What is wrong is told without the text: it may hold a password.
        let mut base = Url::parse(uri.trim())
            .map_err(|error| Error::Settings(format!("{URI} is no URL ({error}); write it as http://HOST:PORT")))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(Error::Settings(format!(
                "{URI} begins with `{}:`, and only servers are mirrored to: start `mlflow server`, and give its address \
                 as http://HOST:PORT",
                base.scheme()
            )));
        }
        let login = (!base.username().is_empty()).then(|| Login::Basic {
            user: decoded(base.username()),
            password: decoded(base.password().unwrap_or_default()),
        });
        // These cannot fail for a URL with a host.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        base.set_query(None);
        base.set_fragment(None);
        Ok(Self { base, login })
    }

    /// The same server, with a user's name and password.
    pub fn with_password(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { login: Some(Login::Basic { user: user.into(), password: password.into() }), ..self }
    }

    /// The same server, with a bearer token.
    pub fn with_token(self, token: impl Into<String>) -> Self {
        Self { login: Some(Login::Bearer(token.into())), ..self }
    }

    /// The settings that the variables name; `None` without `MLFLOW_TRACKING_URI`. As in MLflow's clients, a user's name and
    /// password go before a token.
    pub fn from_env(environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, Error> {
        let set = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
        let Some(uri) = set(URI) else { return Ok(None) };
        let settings = Self::new(&uri)?;
        match (set(USERNAME), set(PASSWORD), set(TOKEN)) {
            (Some(user), Some(password), _) => Ok(Some(settings.with_password(user, password))),
            (Some(_), None, _) => Err(Error::Settings(format!("{USERNAME} is set, and {PASSWORD} is not: set both"))),
            (None, Some(_), _) => Err(Error::Settings(format!("{PASSWORD} is set, and {USERNAME} is not: set both"))),
            (None, None, Some(token)) => Ok(Some(settings.with_token(token))),
            (None, None, None) => Ok(Some(settings)),
        }
    }

    /// The server's address, without a login.
    pub fn address(&self) -> &Url {
        &self.base
    }
}

/// The text with its `%XX` read.
fn decoded(text: &str) -> String {
    let plus = text.replace('+', "%2B");
    url::form_urlencoded::parse(plus.as_bytes()).next().map_or_else(String::new, |(key, _)| key.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<MlflowSettings>, Error> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        MlflowSettings::from_env(&find)
    }

    #[test]
    fn without_an_address_there_is_nothing_to_mirror_to() {
        assert!(read(&[(TOKEN, "t")]).unwrap().is_none());
        assert!(read(&[(URI, " ")]).unwrap().is_none());
    }

    #[test]
    fn a_path_is_kept_and_a_login_in_the_address_is_taken_out_of_it() {
        let settings = read(&[(URI, "https://ann:p%40ss+w@h:5000/ml/flow/?x=1")]).unwrap().unwrap();
        assert_eq!(settings.address().as_str(), "https://h:5000/ml/flow/");
        assert!(
            matches!(&settings.login, Some(Login::Basic { user, password }) if user == "ann" && password == "p@ss+w")
        );
    }

    #[test]
    fn a_password_goes_before_a_token() {
        let settings = read(&[(URI, "http://h"), (USERNAME, "ann"), (PASSWORD, "pw"), (TOKEN, "t")]).unwrap().unwrap();
        assert!(matches!(settings.login, Some(Login::Basic { .. })));
        let settings = read(&[(URI, "http://h"), (TOKEN, "t")]).unwrap().unwrap();
        assert!(matches!(settings.login, Some(Login::Bearer(_))));
    }

    #[test]
    fn half_a_login_and_an_address_that_is_no_server_are_refused() {
        for (variables, part) in [
            (vec![(URI, "http://h"), (USERNAME, "ann")], "MLFLOW_TRACKING_PASSWORD is not"),
            (vec![(URI, "http://h"), (PASSWORD, "s3cret")], "MLFLOW_TRACKING_USERNAME is not"),
            (vec![(URI, "sqlite:///s3cret.db")], "start `mlflow server`"),
            (vec![(URI, "s3cret")], "is no URL"),
        ] {
            let message = read(&variables).unwrap_err().to_string();
            assert!(message.contains(part) && !message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = MlflowSettings::new("http://h").unwrap();
        let shown =
            format!("{:?} {:?}", settings.clone().with_password("ann", "s3cret"), settings.with_token("s3cret"));
        assert!(shown.contains("ann") && !shown.contains("s3cret"), "{shown}");
    }
}
