//! Where settings come from: the file, then the environment on top.

use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use super::problem::{ConfigError, Problem};

/// Read when nothing else is named.
pub const DEFAULT_FILE: &str = "zhaoguan.toml";
/// Names the configuration file.
pub const FILE_VARIABLE: &str = "ZHAOGUAN_CONFIG";
/// Starts every variable that sets a key.
pub const PREFIX: &str = "ZHAOGUAN__";

/// What [`super::Config::load`] reads.
#[derive(Clone, Default)]
pub struct ConfigSources {
    /// The named file, which must exist; `None` for `zhaoguan.toml` if there is one.
    pub file: Option<PathBuf>,
    /// Environment variables; only those starting with `ZHAOGUAN__` matter.
    pub variables: Vec<(String, String)>,
}

impl ConfigSources {
    /// The process's environment, with the file of `--config` or else of `ZHAOGUAN_CONFIG`.
    pub fn from_process(file: Option<PathBuf>) -> Self {
        let file = file.or_else(|| std::env::var_os(FILE_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from));
        let variables = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        Self { file, variables }
    }

    pub(super) fn figment(&self) -> Result<Figment, ConfigError> {
        let mut figment = Figment::new();
        if let Some(layer) = self.file_layer()? {
            figment = figment.merge(layer);
        }
        let mut variables: Vec<_> = self.variables.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
        variables.sort();
        for (name, value) in variables {
            figment = figment.merge(variable_layer(name, value)?);
        }
        Ok(figment)
    }

    fn file_layer(&self) -> Result<Option<Layer>, ConfigError> {
        let path = self.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        let origin = format!("the file {}", path.display());
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.file.is_none() => return Ok(None),
            Err(error) => return Err(unreadable(origin, &format!("cannot be read: {error}"))),
        };
        let table: toml::Table =
            toml::from_str(&text).map_err(|error| unreadable(origin.clone(), &syntax(&text, &error)))?;
        Ok(Some(Layer { origin, data: dict(table)? }))
    }
}

/// One source of keys, remembered by name so that problems can say where a key was set.
struct Layer {
    origin: String,
    data: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.data.clone()))
    }
}

/// `ZHAOGUAN__HTTP__LISTEN=…` sets `http.listen`. Lists, tables and quoted strings are TOML; everything
/// else stays text, so that a key of digits keeps its leading zeros, and becomes a number or a boolean
/// where one is expected.
fn variable_layer(name: &str, value: &str) -> Result<Layer, ConfigError> {
    let origin = format!("the environment variable {name}");
    let key = name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase();
    let parts: Vec<&str> = key.split("__").collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(unreadable(origin, "is not of the form ZHAOGUAN__SECTION__KEY"));
    }
    let trimmed = value.trim();
    let leaf = if trimmed.starts_with(['[', '{', '"', '\'']) {
        let mut table: toml::Table = toml::from_str(&format!("value = {trimmed}"))
            .map_err(|error| unreadable(origin.clone(), &format!("is not valid TOML: {}", error.message())))?;
        Value::serialize(table.remove("value"))?
    } else {
        Value::from(trimmed)
    };
    let data = parts.into_iter().rev().fold(leaf, |inner, part| Value::from(Dict::from([(part.to_owned(), inner)])));
    Ok(Layer { origin, data: data.into_dict().unwrap_or_default() })
}

fn dict(table: toml::Table) -> Result<Dict, ConfigError> {
    Ok(Value::serialize(table)?.into_dict().unwrap_or_default())
}

fn unreadable(origin: String, message: &str) -> ConfigError {
    Problem { key: String::new(), message: message.to_owned(), origin: Some(origin) }.into()
}

/// The line and the reason, without the text of the line.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let line =
        error.span().and_then(|span| text.get(..span.start)).map_or(1, |before| before.matches('\n').count() + 1);
    format!("is not valid TOML at line {line}: {}", error.message())
}
