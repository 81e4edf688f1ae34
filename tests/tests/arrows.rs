//! Holds the layers of the architecture: a crate uses only crates below it, poem stays in the API, sea-orm
//! in storage, HTTP clients at the rim.

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Where each crate stands; one uses only what stands lower.
const LAYERS: [(&str, u8); 14] = [
    ("domain", 0),
    ("im", 1),
    ("wechat", 1),
    ("sms", 1),
    ("account", 1),
    ("consultation", 2),
    ("leancloud", 3),
    ("storage", 4),
    ("runtime", 4),
    ("wechat-standin", 4),
    ("testkit", 4),
    ("worker", 5),
    ("api", 5),
    ("tests", 6),
];

/// Uses within a layer that are meant: `zhaoguan-api serve` runs the worker in-process.
const MEANT: [(&str, &str); 1] = [("api", "worker")];

/// Libraries that only these crates may use, also in their tests.
const CONFINED: [(&[&str], &[&str]); 2] =
    [(&["poem", "poem-openapi"], &["api"]), (&["sea-orm", "sea-orm-migration", "sqlx"], &["storage"])];

/// Libraries that open connections outwards, and who may use them outside of tests.
const CLIENTS: [&str; 6] = ["reqwest", "hyper", "hyper-util", "ureq", "async-nats", "opendal-http-transport-reqwest"];
const CLIENT_USERS: [&str; 5] = ["wechat", "wechat-standin", "sms", "runtime", "tests"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Product,
    Tests,
}

/// Why `user` may not use `library`; `None` if it may.
fn objection(user: &str, library: &str, how: Use) -> Option<String> {
    let Some(own_layer) = layer(user) else {
        return Some(format!("{user} has no layer: give it one in tests/tests/arrows.rs"));
    };
    if let Some(layer) = layer(library) {
        let is_own_mocks = library == user && how == Use::Tests;
        let is_fakes = library == "testkit" && how == Use::Tests;
        let is_fine = layer < own_layer || is_own_mocks || is_fakes || MEANT.contains(&(user, library));
        return (!is_fine).then(|| format!("{user} (layer {own_layer}) uses {library} (layer {layer})"));
    }
    let is_confined = CONFINED.iter().any(|(names, users)| names.contains(&library) && !users.contains(&user));
    let is_stray_client = how == Use::Product && CLIENTS.contains(&library) && !CLIENT_USERS.contains(&user);
    (is_confined || is_stray_client).then(|| format!("{user} uses {library}"))
}

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

#[test]
fn every_crate_uses_only_what_stands_below_it() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().unwrap();
    let packages = metadata.workspace_packages();
    assert!(packages.iter().any(|package| package.name.as_str() == "api"), "the workspace was not read");
    let objections: Vec<String> = packages
        .iter()
        .flat_map(|package| package.dependencies.iter().map(move |dependency| (package, dependency)))
        .filter_map(|(package, dependency)| {
            let how = if dependency.kind == DependencyKind::Development { Use::Tests } else { Use::Product };
            objection(package.name.as_str(), &dependency.name, how)
        })
        .collect();
    assert_eq!(objections, Vec::<String>::new());
}

#[test]
fn arrows_upwards_and_sideways_are_objected_to() {
    for (user, library) in [
        ("domain", "consultation"),
        ("im", "account"),
        ("consultation", "leancloud"),
        ("leancloud", "storage"),
        ("storage", "runtime"),
        ("worker", "api"),
        ("runtime", "testkit"),
        ("unheard_of", "serde"),
    ] {
        assert!(objection(user, library, Use::Product).is_some(), "{user} → {library}");
    }
    assert_eq!(objection("api", "worker", Use::Product), None);
    assert_eq!(objection("storage", "testkit", Use::Tests), None);
    assert_eq!(objection("consultation", "im", Use::Product), None);
}

#[test]
fn libraries_of_the_rim_are_objected_to_inside() {
    for (user, library) in [("worker", "poem"), ("consultation", "sea-orm"), ("api", "sqlx"), ("api", "reqwest")] {
        assert!(objection(user, library, Use::Product).is_some(), "{user} → {library}");
    }
    assert!(objection("tests", "sea-orm", Use::Tests).is_some(), "black-box tests go through the binaries");
    assert_eq!(objection("api", "reqwest", Use::Tests), None);
    assert_eq!(objection("storage", "sea-orm", Use::Product), None);
    assert_eq!(objection("runtime", "reqwest", Use::Product), None);
}
