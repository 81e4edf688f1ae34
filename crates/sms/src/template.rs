//! Logical templates: which id and which order of variables each provider knows them by.

use std::collections::BTreeMap;

use crate::provider::{ProviderName, Submission};

/// Variables that each known logical template is sent with.
const KNOWN: [(&str, &[&str]); 3] =
    [("login_code", &["code", "minutes"]), ("new_message", &["link"]), ("phone_changed", &[])];

/// A logical template as one provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderTemplate {
    pub id: String,
    /// Names of the variables, in the provider's order.
    pub params: Vec<String>,
}

/// A template that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sms.templates.{template}.{provider} {problem}")]
pub struct TemplateProblem {
    pub template: String,
    pub provider: &'static str,
    pub problem: String,
}

/// The templates of one provider by logical name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Templates {
    provider: ProviderName,
    by_name: BTreeMap<String, ProviderTemplate>,
}

impl Templates {
    /// Checks what can be known without the provider.
    ///
    /// # Errors
    /// [`TemplateProblem`] naming the first that cannot work.
    pub fn new(provider: ProviderName, by_name: BTreeMap<String, ProviderTemplate>) -> Result<Self, TemplateProblem> {
        for (name, template) in &by_name {
            check(name, template).map_err(|problem| TemplateProblem {
                template: name.clone(),
                provider: provider.as_str(),
                problem,
            })?;
        }
        Ok(Self { provider, by_name })
    }

    pub fn find(&self, name: &str) -> Option<&ProviderTemplate> {
        self.by_name.get(name)
    }

    pub fn offers(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The values of a submission in the provider's order.
    pub(crate) fn values(template: &ProviderTemplate, submission: &Submission) -> Vec<(String, String)> {
        let value = |name: &String| (name.clone(), submission.param(name).unwrap_or_default().to_owned());
        template.params.iter().map(value).collect()
    }

    /// What may go wrong at the provider although it is allowed.
    pub fn warnings(&self) -> Vec<String> {
        let code = self.find("login_code").filter(|_| self.provider == ProviderName::Aliyun);
        let too_many = code.filter(|template| template.params.len() != 1).map(
            |_| "sms.templates.login_code.aliyun has more than one variable, which Aliyun refuses in code templates",
        );
        let none = (!self.offers("new_message")).then_some("new_message is missing: no notices leave this way");
        let prefix = |text: &str| format!("{}: {text}", self.provider.as_str());
        too_many.into_iter().chain(none).map(prefix).collect()
    }
}

fn check(name: &str, template: &ProviderTemplate) -> Result<(), String> {
    if template.id.is_empty() {
        return Err("has no id".to_owned());
    }
    let Some((_, variables)) = KNOWN.iter().find(|(known, _)| *known == name) else { return Ok(()) };
    if let Some(stranger) = template.params.iter().find(|param| !variables.contains(&param.as_str())) {
        return Err(format!("names the variable {stranger}; there are {}", variables.join(", ")));
    }
    if name == "login_code" && !template.params.iter().any(|param| param == "code") {
        return Err("does not name the variable code".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(id: &str, params: &[&str]) -> ProviderTemplate {
        ProviderTemplate { id: id.into(), params: params.iter().map(ToString::to_string).collect() }
    }

    fn templates(name: &str, of: ProviderTemplate) -> Result<Templates, TemplateProblem> {
        Templates::new(ProviderName::Tencent, [(name.to_owned(), of)].into())
    }

    #[test]
    fn variables_that_nobody_fills_are_refused_at_the_start() {
        let refused = templates("login_code", template("1", &["code", "name"])).unwrap_err();
        let told = "sms.templates.login_code.tencent names the variable name; there are code, minutes";
        assert_eq!(refused.to_string(), told);
        assert!(templates("login_code", template("1", &["minutes"])).is_err());
        assert!(templates("login_code", template("", &["code"])).is_err());
        assert!(templates("new_message", template("2", &[])).is_ok());
        assert!(templates("of_the_operator", template("3", &["anything"])).is_ok());
    }

    #[test]
    fn values_come_in_the_providers_order() {
        let submission = Submission {
            out_id: "o".into(),
            phone: "13900000000".parse().unwrap(),
            template: "login_code".into(),
            params: vec![("code".into(), "012345".into()), ("minutes".into(), "5".into())],
        };
        let values = Templates::values(&template("1", &["minutes", "code"]), &submission);
        assert_eq!(values, [("minutes".into(), "5".into()), ("code".into(), "012345".into())]);
    }

    #[test]
    fn a_second_variable_in_a_code_of_aliyun_is_warned_of() {
        let by_name = [("login_code".to_owned(), template("SMS_1", &["code", "minutes"]))].into();
        let warnings = Templates::new(ProviderName::Aliyun, by_name).unwrap().warnings();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
    }
}
