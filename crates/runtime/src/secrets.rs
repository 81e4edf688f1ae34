//! The application's credentials: from the configuration, or generated at the first start in development.
//!
//! Generated ones live in `security.secrets_file`, readable by its owner only. It appears whole or not at
//! all, so several processes starting at once agree on one set.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use domain::rng::SecureRandom;
use serde::Deserialize;

use crate::StartError;
use crate::config::{Config, Secret};

/// What identifies the application and keys its digests. `Debug` shows only the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `X-LC-Id`.
    pub app_id: String,
    /// `X-LC-Key` of clients.
    pub app_key: Secret,
    /// `X-LC-Key` of integrators, as `key,master`.
    pub master_key: Secret,
    /// Keys digests of codes and phones and signed links.
    pub secret: Secret,
    /// Whether this very call generated some of them, so that they should be printed once.
    pub is_fresh: bool,
}

/// The file of generated credentials.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generated {
    app_id: String,
    app_key: Secret,
    master_key: Secret,
    secret: Secret,
}

impl Credentials {
    /// Takes what is configured and, in development, fills in the rest from the file of generated
    /// credentials, which is created when absent.
    ///
    /// # Errors
    /// [`StartError::Secrets`] when the file cannot be read or written, or when something is missing in
    /// production (which [`Config::load`] refuses before).
    pub fn resolve(config: &Config, random: &dyn SecureRandom) -> Result<Self, StartError> {
        Self::complete(config, |file| file.read_or_create(random))
    }

    /// The same, where none are to be made.
    ///
    /// # Errors
    /// Like [`Credentials::resolve`]; also when some are missing that the first start would make.
    pub fn find(config: &Config) -> Result<Self, StartError> {
        Self::complete(config, |file| match file.read()? {
            Some(generated) => Ok((generated, false)),
            None => Err(file.error("do not exist; a first start makes them", None)),
        })
    }

    fn complete(
        config: &Config,
        generated: impl FnOnce(&SecretsFile<'_>) -> Result<(Generated, bool), StartError>,
    ) -> Result<Self, StartError> {
        let app_id = config.app.id.clone().filter(|id| !id.is_empty());
        let app_key = configured(config.app.key.as_ref());
        let master_key = configured(config.app.master_key.as_ref());
        let secret = configured(config.security.secret.as_ref());
        match (app_id, app_key, master_key, secret) {
            (Some(app_id), Some(app_key), Some(master_key), Some(secret)) => {
                Ok(Self { app_id, app_key, master_key, secret, is_fresh: false })
            }
            (app_id, app_key, master_key, secret) => {
                let file = SecretsFile { path: &config.security.secrets_file };
                if config.is_production() {
                    return Err(file.error("are not used in production", None));
                }
                let (generated, is_fresh) = generated(&file)?;
                Ok(Self {
                    app_id: app_id.unwrap_or(generated.app_id),
                    app_key: app_key.unwrap_or(generated.app_key),
                    master_key: master_key.unwrap_or(generated.master_key),
                    secret: secret.unwrap_or(generated.secret),
                    is_fresh,
                })
            }
        }
    }
}

fn configured(secret: Option<&Secret>) -> Option<Secret> {
    secret.filter(|secret| !secret.expose().is_empty()).cloned()
}

struct SecretsFile<'a> {
    path: &'a Path,
}

impl SecretsFile<'_> {
    fn read_or_create(&self, random: &dyn SecureRandom) -> Result<(Generated, bool), StartError> {
        if let Some(generated) = self.read()? {
            return Ok((generated, false));
        }
        let is_mine = self.create(random).map_err(|error| self.error("cannot be created", Some(error.into())))?;
        match self.read()? {
            Some(generated) => Ok((generated, is_mine)),
            None => Err(self.error("vanished after being created", None)),
        }
    }

    fn read(&self) -> Result<Option<Generated>, StartError> {
        let text = match std::fs::read_to_string(self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error("cannot be read", Some(error.into()))),
        };
        // The parser's error would quote the line, and with it a secret.
        let Ok(generated) = toml::from_str(&text) else {
            return Err(self.error("are incomplete or not valid TOML; delete the file to generate new ones", None));
        };
        Ok(Some(generated))
    }

    /// Writes a private file beside the target and links it into place: whoever links first wins, and
    /// nobody ever sees half a file. False if another process was faster.
    fn create(&self, random: &dyn SecureRandom) -> io::Result<bool> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let draft = self.draft_path(random);
        let linked = write_draft(&draft, random).and_then(|()| std::fs::hard_link(&draft, self.path));
        let removed = std::fs::remove_file(&draft);
        match linked {
            Ok(()) => removed.map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn draft_path(&self, random: &dyn SecureRandom) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.new", random.base62(12)));
        self.path.with_file_name(name)
    }

    fn error(&self, problem: &'static str, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> StartError {
        StartError::Secrets { path: self.path.to_owned(), problem, source }
    }
}

fn write_draft(draft: &Path, random: &dyn SecureRandom) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    // 24, 32 and 43 characters of base62: 143, 190 and 256 bits.
    write!(
        file,
        "# Generated at the first start in development. Whoever reads this can act as the application.\n\
         app_id = \"{}\"\napp_key = \"{}\"\nmaster_key = \"{}\"\nsecret = \"{}\"\n",
        random.base62(24),
        random.base62(32),
        random.base62(32),
        random.base62(43),
    )?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::OsRandom;
    use crate::config::Profile;

    fn config(folder: &Path) -> Config {
        let mut config = Config::default();
        config.security.secrets_file = folder.join("new/secrets.toml");
        config
    }

    #[test]
    fn the_first_start_generates_and_later_ones_reuse() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let first = Credentials::resolve(&config, &OsRandom).unwrap();
        let second = Credentials::resolve(&config, &OsRandom).unwrap();
        assert!(first.is_fresh && !second.is_fresh);
        assert_eq!(Credentials { is_fresh: true, ..second }, first);
        assert!(![&first.app_key, &first.master_key, &first.secret].into_iter().any(Secret::is_weak));
        assert_ne!(first.app_key, first.master_key);
    }

    #[test]
    fn looking_for_them_makes_none() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let error = Credentials::find(&config).unwrap_err();
        assert!(error.to_string().contains("(security.secrets_file) do not exist"), "{error}");
        assert!(!config.security.secrets_file.exists());
        let made = Credentials::resolve(&config, &OsRandom).unwrap();
        assert_eq!(Credentials { is_fresh: true, ..Credentials::find(&config).unwrap() }, made);
    }

    #[test]
    fn the_file_is_readable_by_its_owner_only_and_alone() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        Credentials::resolve(&config, &OsRandom).unwrap();
        let mode = std::fs::metadata(&config.security.secrets_file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path().join("new")).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn starts_at_the_same_time_agree_and_one_is_told_to_print() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let all: Vec<Credentials> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..16).map(|_| scope.spawn(|| Credentials::resolve(&config, &OsRandom).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(all.iter().all(|c| c.app_key == all[0].app_key && c.secret == all[0].secret));
        assert_eq!(all.iter().filter(|c| c.is_fresh).count(), 1);
    }

    #[test]
    fn configured_credentials_win_over_generated_ones() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.app.id = Some("mine".to_owned());
        config.app.key = Some(Secret::new(""));
        let credentials = Credentials::resolve(&config, &OsRandom).unwrap();
        assert_eq!(credentials.app_id, "mine");
        assert_eq!(credentials.app_key.expose().len(), 32, "an empty key counts as absent");
    }

    #[test]
    fn nothing_is_written_when_all_are_configured() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.app.id = Some("mine".to_owned());
        config.app.key = Some(Secret::new("k"));
        config.app.master_key = Some(Secret::new("m"));
        config.security.secret = Some(Secret::new("s"));
        assert!(!Credentials::resolve(&config, &OsRandom).unwrap().is_fresh);
        assert!(!config.security.secrets_file.exists());
    }

    #[test]
    fn production_generates_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { profile: Profile::Production, ..config(folder.path()) };
        let error = Credentials::resolve(&config, &OsRandom).unwrap_err();
        assert!(error.to_string().contains("are not used in production"), "{error}");
        assert!(!config.security.secrets_file.exists());
    }

    #[test]
    fn a_damaged_file_is_named_but_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        config.security.secrets_file = folder.path().join("secrets.toml");
        std::fs::write(&config.security.secrets_file, "app_id = hunter2").unwrap();
        let error = Credentials::resolve(&config, &OsRandom).unwrap_err();
        assert!(error.to_string().contains("secrets.toml (security.secrets_file) are incomplete"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn an_unwritable_place_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        std::fs::write(folder.path().join("new"), "a file where a folder should be").unwrap();
        config.security.secrets_file = folder.path().join("new/secrets.toml");
        assert!(matches!(Credentials::resolve(&config, &OsRandom), Err(StartError::Secrets { .. })));
    }
}
