//! Objects of classes: finding, reading, making, changing and deleting them.

use std::sync::Arc;

use account::Accounts;
use account::challenge::Origin;
use consultation::service::{Certifications, Doctors, Registry, Relations};
use domain::file::FilePlace;
use domain::id::{FileId, IdSource};
use domain::{Actor, Clock, ObjectId};
use serde_json::{Map, Value, json};

use super::sealed::{check_query, conditions};
use super::shape::{FileUrls, Shape, files_in, render};
use super::store::{Document, LockedDocument, RestStore, RestUnit, Viewer};
use super::users::MiniProgramLogin;
use super::{ClassInfo, ClassKind, ClientViewer, RestError};
use crate::acl::{Acl, is_role_name};
use crate::ops::{AclChange, Changes, Op};
use crate::query::{Clause, Params, Query, Test, Where, parse_order};
use crate::value::{Path, checked_class};
use crate::wire::Pointer;

/// Most objects of one delete.
const MAX_DELETES: usize = 1_000;

/// Who asks, and through whose eyes objects are seen.
#[derive(Clone)]
pub struct Caller {
    pub actor: Actor,
    pub viewer: Viewer,
    pub origin: Origin,
    /// The token that was sent; answers about the own account show it again.
    pub token: Option<String>,
}

/// What the use cases are given.
pub struct RestPorts {
    pub store: Arc<dyn RestStore>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub urls: Arc<dyn FileUrls>,
    pub accounts: Arc<Accounts>,
    pub certifications: Certifications,
    pub doctors: Doctors,
    pub relations: Relations,
    pub registry: Registry,
    pub mini_program: Arc<dyn MiniProgramLogin>,
    /// Whether codes may be asked for without a captcha, which these clients cannot solve.
    pub spares_captcha: bool,
    /// Whether clients are taken at their word about who they are at other providers.
    pub takes_claims: bool,
}

/// The use cases of the storage interface.
pub struct Rest {
    pub(super) ports: RestPorts,
}

/// An answer of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub results: Vec<Value>,
    pub count: Option<u64>,
    /// Where a scan goes on.
    pub cursor: Option<String>,
}

/// An object that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Created {
    pub id: ObjectId,
    pub answer: Value,
}

impl Rest {
    pub const fn new(ports: RestPorts) -> Self {
        Self { ports }
    }

    /// Through whose eyes a caller sees: its roles are looked up now.
    ///
    /// # Errors
    /// [`RestError::Store`].
    pub async fn viewer(&self, actor: &Actor) -> Result<Viewer, RestError> {
        Ok(match actor {
            Actor::Integrator | Actor::System => Viewer::Master,
            Actor::User(user) => Viewer::Client(ClientViewer {
                user: Some(user.user),
                patient: user.patient,
                doctor: user.doctor,
                roles: self.ports.store.read().documents().roles_of(user.user).await?,
                peers: Vec::new(),
            }),
            // Staff use the console; here they are nobody in particular.
            _ => Viewer::Client(ClientViewer::default()),
        })
    }

    /// The objects of a class.
    ///
    /// # Errors
    /// [`RestError::ReadForbidden`] for users, who find nobody but themselves by id; [`RestError::NoSuchClass`];
    /// what is wrong with the query.
    pub async fn find(&self, caller: &Caller, class: &str, params: &Params) -> Result<Found, RestError> {
        let Some(class) = self.redirected(class, params).await? else {
            return Ok(Found { results: Vec::new(), count: params.wants_count.then_some(0), cursor: None });
        };
        let class = class.as_str();
        let kind = readable(class)?;
        if kind == ClassKind::User && !caller.viewer.is_master() {
            return Err(RestError::ReadForbidden);
        }
        let shape = Shape::parse(params.include.as_deref(), params.keys.as_deref(), params.wants_acl)?;
        let query = Query {
            filter: params.conditions()?,
            order: parse_order(params.order.as_deref().unwrap_or_default())?,
            limit: params.page_size(),
            skip: params.skipped(),
            after_id: None,
        };
        check_query(class, &query)?;
        let mut unit = self.ports.store.read();
        require_class(unit.as_mut(), kind, class).await?;
        let documents = unit.documents().find(&caller.viewer, class, &query).await?;
        let count = if params.wants_count {
            Some(unit.documents().count(&caller.viewer, class, &query.filter).await?)
        } else {
            None
        };
        let results = render(unit.as_mut(), self.ports.urls.as_ref(), &caller.viewer, documents, &shape).await?;
        self.note_look(caller, class, &results).await?;
        Ok(Found { results, count, cursor: None })
    }

    /// The class a query is about: SDKs name the owner of a relation where they do not know the class of its members.
    async fn redirected(&self, class: &str, params: &Params) -> Result<Option<String>, RestError> {
        match &params.redirect {
            None => Ok(Some(class.to_owned())),
            Some(key) => {
                let key = Path::parse(key)?;
                Ok(self.ports.store.read().documents().relation_target(class, key.first()).await?)
            }
        }
    }

    /// All objects of a class, page after page in the order of their ids; for the master key.
    ///
    /// # Errors
    /// [`RestError::ReadForbidden`] for anybody else.
    pub async fn scan(&self, caller: &Caller, class: &str, params: &Params) -> Result<Found, RestError> {
        let kind = readable(class)?;
        if !caller.viewer.is_master() {
            return Err(RestError::ReadForbidden);
        }
        let cursor = params.cursor.as_deref().filter(|cursor| !cursor.is_empty());
        let after_id = match cursor {
            Some(cursor) => Some(cursor.parse().ok().ok_or_else(|| RestError::bad_query("unknown cursor"))?),
            None => None,
        };
        let limit = params.page_size().max(1);
        let query = Query { filter: conditions(class, params)?, limit, after_id, ..Query::default() };
        let mut unit = self.ports.store.read();
        require_class(unit.as_mut(), kind, class).await?;
        let documents = unit.documents().find(&caller.viewer, class, &query).await?;
        let is_full = documents.len() == limit as usize;
        let cursor = documents.last().filter(|_| is_full).map(|last| last.id.to_string());
        let shape = Shape::parse(params.include.as_deref(), params.keys.as_deref(), true)?;
        let results = render(unit.as_mut(), self.ports.urls.as_ref(), &caller.viewer, documents, &shape).await?;
        self.note_look(caller, class, &results).await?;
        Ok(Found { results, count: None, cursor })
    }

    /// One object; `None` when there is none the caller may see.
    ///
    /// # Errors
    /// [`RestError::NoSuchClass`]; [`RestError::UserNotFound`] for users.
    pub async fn get(
        &self,
        caller: &Caller,
        class: &str,
        id: &str,
        params: &Params,
    ) -> Result<Option<Value>, RestError> {
        let kind = readable(class)?;
        let shape = Shape::parse(params.include.as_deref(), params.keys.as_deref(), params.wants_acl)?;
        let mut unit = self.ports.store.read();
        require_class(unit.as_mut(), kind, class).await?;
        let found = match id.parse() {
            Ok(id) => one(unit.as_mut(), &caller.viewer, class, id).await?,
            Err(_) => None,
        };
        let Some(document) = found else {
            return if kind == ClassKind::User { Err(RestError::UserNotFound) } else { Ok(None) };
        };
        let rows = render(unit.as_mut(), self.ports.urls.as_ref(), &caller.viewer, vec![document], &shape).await?;
        let row = rows.into_iter().next().unwrap_or_default();
        self.note_read(caller, class, id, &row).await?;
        Ok(Some(row))
    }

    /// Makes an object.
    ///
    /// # Errors
    /// [`RestError`] naming what is refused.
    pub async fn create(
        &self,
        caller: &Caller,
        class: &str,
        body: Map<String, Value>,
        params: &Params,
    ) -> Result<Created, RestError> {
        let kind = writable(class)?;
        match kind {
            ClassKind::Document | ClassKind::Role | ClassKind::Notice => {}
            ClassKind::File => return self.create_external_file(caller, body).await,
            other => return self.create_in_product(caller, other, class, body, params).await,
        }
        if kind != ClassKind::Document && !caller.viewer.is_master() {
            return Err(RestError::WriteForbidden);
        }
        let changes = Changes::parse(body)?;
        let mut unit = self.ports.store.begin().await?;
        self.check_files(unit.as_mut(), caller, &changes).await?;
        let mut fields = Map::new();
        let relations = changes.apply(&mut fields)?;
        let acl = match changes.acl {
            Some(AclChange::Set(acl)) => Some(acl),
            _ => None,
        };
        if kind == ClassKind::Role {
            check_role(&fields, acl.as_ref())?;
        }
        let (id, now) = (self.ports.ids.next(), self.ports.clock.now());
        let document = Document { class: class.to_owned(), id, fields, acl, created_at: now, updated_at: now };
        unit.documents().ensure_class(class, &ClassInfo::of_object(&document.fields), now).await?;
        unit.documents().insert(&document).await?;
        let owner = Pointer { class: class.to_owned(), id };
        unit.documents().change_relations(&owner, &relations).await?;
        unit.commit().await?;
        let answer = if params.wants_new {
            self.rendered(caller, document, &Shape::whole()).await?
        } else {
            json!({ "objectId": id.to_string(), "createdAt": now.to_rfc3339() })
        };
        Ok(Created { id, answer })
    }

    /// Changes an object; with `where` only when it meets the conditions.
    ///
    /// # Errors
    /// [`RestError`] naming what is refused.
    pub async fn update(
        &self,
        caller: &Caller,
        class: &str,
        id: &str,
        body: Map<String, Value>,
        params: &Params,
    ) -> Result<Value, RestError> {
        let kind = writable(class)?;
        let parsed: ObjectId = id.parse().ok().ok_or_else(|| RestError::MissingRow(id.chars().take(64).collect()))?;
        match kind {
            ClassKind::Document | ClassKind::Role | ClassKind::Notice => {}
            ClassKind::File => return Err(RestError::NotFromClients),
            other => return self.update_in_product(caller, other, class, parsed, body, params).await,
        }
        if kind == ClassKind::Notice && !caller.viewer.is_master() {
            return Err(RestError::WriteForbidden);
        }
        let changes = Changes::parse(body)?;
        if kind == ClassKind::Role && changes.touched().any(|field| field == "name") {
            return Err(RestError::BadRoleName);
        }
        let mut unit = self.ports.store.begin().await?;
        let mut document = self.locked(unit.as_mut(), caller, class, parsed, params).await?;
        self.check_files(unit.as_mut(), caller, &changes).await?;
        let relations = changes.apply(&mut document.fields)?;
        match &changes.acl {
            None => {}
            Some(AclChange::Set(acl)) => document.acl = Some(acl.clone()),
            Some(AclChange::Clear) if kind == ClassKind::Role => return Err(RestError::RoleAclRequired),
            Some(AclChange::Clear) => document.acl = None,
        }
        document.updated_at = self.ports.clock.now();
        let told = ClassInfo::of_object(&document.fields);
        unit.documents().ensure_class(class, &told, document.updated_at).await?;
        unit.documents().update(&document).await?;
        let owner = Pointer { class: class.to_owned(), id: parsed };
        unit.documents().change_relations(&owner, &relations).await?;
        unit.commit().await?;
        self.updated_answer(caller, document, &changes, params).await
    }

    /// Deletes objects; with `where` only when they meet the conditions.
    ///
    /// # Errors
    /// [`RestError`] naming what is refused.
    pub async fn delete(&self, caller: &Caller, class: &str, ids: &str, params: &Params) -> Result<(), RestError> {
        let kind = writable(class)?;
        let ids: Vec<&str> = ids.split(',').filter(|id| !id.is_empty()).collect();
        if ids.len() > MAX_DELETES {
            return Err(RestError::bad_query(format!("at most {MAX_DELETES} objects are deleted at once")));
        }
        if !kind.is_document() {
            return if kind == ClassKind::File {
                self.delete_files(caller, &ids).await
            } else {
                // Records of patients, doctors and accounts are kept; they are closed elsewhere.
                Err(RestError::NotFromClients)
            };
        }
        if kind == ClassKind::Notice && !caller.viewer.is_master() {
            return Err(RestError::WriteForbidden);
        }
        let mut unit = self.ports.store.begin().await?;
        for id in ids {
            let parsed = id.parse().or(Err(RestError::NotFound))?;
            let locked = self.locked(unit.as_mut(), caller, class, parsed, params).await;
            match locked {
                Err(RestError::MissingRow(_)) => return Err(RestError::NotFound),
                other => other?,
            };
            unit.documents().delete(class, parsed).await?;
        }
        Ok(unit.commit().await?)
    }

    /// A document that the caller may change and that meets the condition of the call.
    async fn locked(
        &self,
        unit: &mut dyn RestUnit,
        caller: &Caller,
        class: &str,
        id: ObjectId,
        params: &Params,
    ) -> Result<Document, RestError> {
        let condition = conditions(class, params)?;
        let found = unit.documents().lock(&caller.viewer, class, id, &condition).await?;
        let LockedDocument { document, may_read, may_write, holds } =
            found.filter(|found| found.may_read || found.may_write).ok_or(RestError::MissingRow(id.to_string()))?;
        if !may_write {
            return Err(RestError::AclForbidden);
        }
        // Whoever may not read must not learn by conditions either.
        if !condition.0.is_empty() && (!holds || !may_read) {
            return Err(RestError::ConditionUnmet);
        }
        Ok(document)
    }

    /// What an update answers: with `new` also the changed fields as they are now.
    pub(super) async fn updated_answer(
        &self,
        caller: &Caller,
        document: Document,
        changes: &Changes,
        params: &Params,
    ) -> Result<Value, RestError> {
        let mut answer = Map::new();
        answer.insert("objectId".into(), json!(document.id.to_string()));
        answer.insert("updatedAt".into(), json!(document.updated_at.to_rfc3339()));
        if params.wants_new {
            let whole = self.rendered(caller, document, &Shape::default()).await?;
            let touched = changes.touched().filter_map(|field| Some((field.to_owned(), whole.get(field)?.clone())));
            answer.extend(touched);
        }
        Ok(Value::Object(answer))
    }

    pub(super) async fn rendered(
        &self,
        caller: &Caller,
        document: Document,
        shape: &Shape,
    ) -> Result<Value, RestError> {
        let mut unit = self.ports.store.read();
        let rows = render(unit.as_mut(), self.ports.urls.as_ref(), &caller.viewer, vec![document], shape).await?;
        Ok(rows.into_iter().next().unwrap_or(Value::Null))
    }

    /// Files that are written into an object are the caller's own, or are at an outside address: whoever sees the
    /// object gets their addresses.
    async fn check_files(&self, unit: &mut dyn RestUnit, caller: &Caller, changes: &Changes) -> Result<(), RestError> {
        let mut ids: Vec<FileId> = Vec::new();
        for (_, op) in &changes.fields {
            values_of(op, &mut |value| ids.extend(files_in(value).into_iter().map(FileId)));
        }
        if ids.is_empty() || caller.viewer.is_master() {
            return Ok(());
        }
        let files = unit.files().find_all(&ids).await?;
        let user = caller.viewer.user();
        let is_usable = |id: &FileId| {
            let file = files.iter().find(|file| file.id == *id);
            file.is_some_and(|file| {
                let is_outside = matches!(file.place, FilePlace::External { .. });
                is_outside || user.is_some_and(|user| file.is_owned_by_user(user))
            })
        };
        if ids.iter().all(is_usable) { Ok(()) } else { Err(RestError::BadFile("it is not a file you uploaded".into())) }
    }
}

/// One object through the viewer's eyes.
pub(super) async fn one(
    unit: &mut dyn RestUnit,
    viewer: &Viewer,
    class: &str,
    id: ObjectId,
) -> Result<Option<Document>, RestError> {
    let test = Test::Equals(json!(id.to_string()));
    let filter = Where(vec![Clause::Field { path: Path::parse("objectId")?, test }]);
    let query = Query { filter, limit: 1, ..Query::default() };
    Ok(unit.documents().find(viewer, class, &query).await?.into_iter().next())
}

fn values_of(op: &Op, act: &mut impl FnMut(&Value)) {
    match op {
        Op::Set(value) => act(value),
        Op::Add(values) | Op::AddUnique(values) => values.iter().for_each(act),
        Op::Batch(ops) => ops.iter().for_each(|op| values_of(op, act)),
        _ => {}
    }
}

fn readable(class: &str) -> Result<ClassKind, RestError> {
    match ClassKind::of(checked_class(class)?) {
        ClassKind::Closed => Err(RestError::ReadForbidden),
        kind => Ok(kind),
    }
}

fn writable(class: &str) -> Result<ClassKind, RestError> {
    match ClassKind::of(checked_class(class)?) {
        ClassKind::Closed => Err(RestError::WriteForbidden),
        kind => Ok(kind),
    }
}

/// A class nobody ever made an object of does not exist.
async fn require_class(unit: &mut dyn RestUnit, kind: ClassKind, class: &str) -> Result<(), RestError> {
    let exists = kind != ClassKind::Document || unit.documents().class(class).await?.is_some();
    if exists { Ok(()) } else { Err(RestError::NoSuchClass) }
}

fn check_role(fields: &Map<String, Value>, acl: Option<&Acl>) -> Result<(), RestError> {
    let name = fields.get("name").and_then(Value::as_str);
    if !name.is_some_and(is_role_name) {
        return Err(RestError::BadRoleName);
    }
    if acl.is_none() { Err(RestError::RoleAclRequired) } else { Ok(()) }
}
