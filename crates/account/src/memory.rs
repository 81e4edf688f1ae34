//! For the tests of this crate: a store in memory with real transactions (one writer at a time, a copy that
//! is put back on commit), stopped time, and a fixture that wires everything together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::audit::{AuditEvent, AuditFilter, AuditRecord, AuditRepository};
use domain::certification::Certification;
use domain::doctor::{Doctor, DoctorRepository, DoctorSearch};
use domain::file::{BlobError, BlobStore, File, FileRepository};
use domain::id::{AgentId, ChallengeId, DoctorId, FileId, IdSource, PatientId, SessionId, UserId};
use domain::outbox::{NewJob, OutboxRepository};
use domain::page::{Cursor, Page, PageRequest};
use domain::patient::{Patient, PatientRepository};
use domain::rng::SecureRandom;
use domain::sms::{SmsGateway, SmsNotSent, SmsRequest, SmsResend};
use domain::{Actor, Clock, ObjectId, Phone, StoreError, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;

use crate::agent::{Agent, AgentRepository, AgentRole};
use crate::captcha::{ProofOfWork, ProofOfWorkSettings};
use crate::challenge::{Challenge, ChallengeRef, ChallengeRepository, Origin, Purpose};
use crate::codes::{CodeRequest, IssuedChallenge};
use crate::counter::{CounterRepository, Guard, GuardKey, Ledger, LedgerKey, OneTime};
use crate::idempotency::{IdempotencyRecord, IdempotencyRepository, IdempotencyScope, StoredResponse};
use crate::password::{ArgonHasher, PasswordCost};
use crate::session::{Session, SessionContext, SessionRepository, SessionSubject, TokenHash};
use crate::sign_in::{Role, SignedIn, SmsSignIn};
use crate::user::{AuthIdentity, User, UserRepository, identities};
use crate::{AccountError, AccountKeys, AccountPorts, AccountSettings, AccountStore, AccountUnit, Accounts};

/// The smallest picture.
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

#[derive(Clone)]
pub(crate) struct SessionRow {
    pub(crate) session: Session,
    pub(crate) revoked_at: Option<Timestamp>,
}

#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) users: Vec<User>,
    pub(crate) sessions: Vec<SessionRow>,
    pub(crate) agents: Vec<Agent>,
    pub(crate) challenges: Vec<Challenge>,
    pub(crate) ledgers: HashMap<LedgerKey, Ledger>,
    pub(crate) guards: HashMap<GuardKey, Guard>,
    pub(crate) spent: Vec<OneTime>,
    pub(crate) patients: Vec<Patient>,
    pub(crate) doctors: Vec<Doctor>,
    pub(crate) files: Vec<File>,
    pub(crate) audit: Vec<AuditEvent>,
    pub(crate) jobs: Vec<NewJob>,
    pub(crate) idempotency: Vec<IdempotencyRecord>,
}

#[derive(Default)]
pub(crate) struct MemoryStore {
    state: Arc<Mutex<State>>,
    writer: Arc<tokio::sync::Mutex<()>>,
    refuses_files: Arc<AtomicBool>,
}

impl MemoryStore {
    pub(crate) async fn begin_unit(&self) -> Box<dyn AccountUnit> {
        self.begin().await.unwrap()
    }

    pub(crate) fn fail_file_inserts(&self) {
        self.refuses_files.store(true, Ordering::SeqCst);
    }

    fn unit(&self, writer: Option<OwnedMutexGuard<()>>) -> Box<dyn AccountUnit> {
        let state = self.state.lock().unwrap().clone();
        let refuses_files = self.refuses_files.load(Ordering::SeqCst);
        Box::new(MemoryUnit { state, shared: Arc::clone(&self.state), refuses_files, _writer: writer })
    }
}

#[async_trait]
impl AccountStore for MemoryStore {
    async fn begin(&self) -> Result<Box<dyn AccountUnit>, StoreError> {
        let writer = Arc::clone(&self.writer).lock_owned().await;
        Ok(self.unit(Some(writer)))
    }

    fn read(&self) -> Box<dyn AccountUnit> {
        self.unit(None)
    }
}

struct MemoryUnit {
    state: State,
    shared: Arc<Mutex<State>>,
    refuses_files: bool,
    _writer: Option<OwnedMutexGuard<()>>,
}

#[async_trait]
impl AccountUnit for MemoryUnit {
    fn users(&mut self) -> &mut dyn UserRepository {
        self
    }
    fn sessions(&mut self) -> &mut dyn SessionRepository {
        self
    }
    fn agents(&mut self) -> &mut dyn AgentRepository {
        self
    }
    fn challenges(&mut self) -> &mut dyn ChallengeRepository {
        self
    }
    fn counters(&mut self) -> &mut dyn CounterRepository {
        self
    }
    fn patients(&mut self) -> &mut dyn PatientRepository {
        self
    }
    fn doctors(&mut self) -> &mut dyn DoctorRepository {
        self
    }
    fn files(&mut self) -> &mut dyn FileRepository {
        self
    }
    fn audit(&mut self) -> &mut dyn AuditRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn OutboxRepository {
        self
    }
    fn idempotency(&mut self) -> &mut dyn IdempotencyRepository {
        self
    }
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        *self.shared.lock().unwrap() = self.state;
        Ok(())
    }
}

/// Replaces the row with the same id if its version is still `version`.
fn compare_and_set<T: Clone>(
    rows: &mut [T],
    next: &T,
    is_same: impl Fn(&T) -> bool,
    version: impl Fn(&mut T) -> &mut i64,
) -> Result<(), StoreError> {
    let mut next = next.clone();
    let row = rows.iter_mut().find(|row| is_same(row)).ok_or(StoreError::Conflict)?;
    if *version(row) != *version(&mut next) {
        return Err(StoreError::Conflict);
    }
    *version(&mut next) += 1;
    *row = next;
    Ok(())
}

fn check_unique(users: &[User], user: &User) -> Result<(), StoreError> {
    let clashes = |other: &User| {
        other.username == user.username
            || (user.phone.is_some() && other.phone == user.phone)
            || (user.email.is_some() && other.email == user.email)
            || identities(&other.auth_data).iter().any(|i| identities(&user.auth_data).contains(i))
    };
    if users.iter().any(|other| other.id != user.id && clashes(other)) {
        return Err(StoreError::Unique("users".into()));
    }
    Ok(())
}

#[async_trait]
impl UserRepository for MemoryUnit {
    async fn find(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.state.users.iter().find(|u| u.id == id).cloned())
    }
    async fn find_by_phone(&mut self, phone: &Phone) -> Result<Option<User>, StoreError> {
        Ok(self.state.users.iter().find(|u| u.phone.as_ref() == Some(phone)).cloned())
    }
    async fn find_by_username(&mut self, username: &str) -> Result<Option<User>, StoreError> {
        Ok(self.state.users.iter().find(|u| u.username == username).cloned())
    }
    async fn find_by_email(&mut self, email: &str) -> Result<Option<User>, StoreError> {
        Ok(self.state.users.iter().find(|u| u.email.as_deref() == Some(email)).cloned())
    }
    async fn find_by_identity(&mut self, identity: &AuthIdentity) -> Result<Option<User>, StoreError> {
        Ok(self.state.users.iter().find(|u| identities(&u.auth_data).contains(identity)).cloned())
    }
    async fn insert(&mut self, user: &User) -> Result<(), StoreError> {
        check_unique(&self.state.users, user)?;
        self.state.users.push(user.clone());
        Ok(())
    }
    async fn update(&mut self, user: &User) -> Result<(), StoreError> {
        check_unique(&self.state.users, user)?;
        compare_and_set(&mut self.state.users, user, |row| row.id == user.id, |row| &mut row.version)
    }
}

#[async_trait]
impl SessionRepository for MemoryUnit {
    async fn insert(&mut self, session: &Session) -> Result<(), StoreError> {
        self.state.sessions.push(SessionRow { session: session.clone(), revoked_at: None });
        Ok(())
    }
    async fn find_active(&mut self, token_hash: &TokenHash) -> Result<Option<SessionContext>, StoreError> {
        let active = |row: &&SessionRow| row.session.token_hash == *token_hash && row.revoked_at.is_none();
        let Some(row) = self.state.sessions.iter().find(active) else { return Ok(None) };
        let session = row.session.clone();
        let user = match session.subject {
            SessionSubject::User(user) => Some(user),
            SessionSubject::Agent(_) => None,
        };
        let state = &self.state;
        if state.users.iter().any(|u| Some(u.id) == user && u.is_closed()) {
            return Ok(None);
        }
        let patient = state.patients.iter().find(|p| user.is_some() && p.user_id == user).map(|p| p.id);
        let doctor = state.doctors.iter().find(|d| user.is_some() && d.user_id == user).map(|d| d.id);
        let of_agent = |a: &&Agent| session.subject == SessionSubject::Agent(a.id) && a.is_enabled;
        let staff_role = state.agents.iter().find(of_agent).map(|a| a.role);
        Ok(Some(SessionContext { session, patient, doctor, staff_role }))
    }
    async fn list(&mut self, subject: SessionSubject, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let active = |row: &&SessionRow| {
            row.session.subject == subject && row.revoked_at.is_none() && row.session.expires_at > now
        };
        let mut found: Vec<_> = self.state.sessions.iter().filter(active).map(|row| row.session.clone()).collect();
        found.sort_by_key(|session| std::cmp::Reverse((session.last_seen_at, session.id)));
        Ok(found)
    }
    async fn touch(&mut self, session: &Session) -> Result<(), StoreError> {
        for row in self.state.sessions.iter_mut().filter(|row| row.session.id == session.id) {
            row.session = session.clone();
        }
        Ok(())
    }
    async fn revoke(
        &mut self,
        subject: SessionSubject,
        id: SessionId,
        _reason: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut rows = self.state.sessions.iter_mut();
        let row = rows.find(|row| row.session.id == id && row.session.subject == subject && row.revoked_at.is_none());
        Ok(row.map(|row| row.revoked_at = Some(now)).is_some())
    }
    async fn revoke_all(
        &mut self,
        subject: SessionSubject,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let rows =
            self.state.sessions.iter_mut().filter(|row| {
                row.session.subject == subject && row.revoked_at.is_none() && Some(row.session.id) != keep
            });
        Ok(rows.map(|row| row.revoked_at = Some(now)).count() as u64)
    }
    async fn purge(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let count = self.state.sessions.len();
        self.state
            .sessions
            .retain(|row| row.session.expires_at >= before && row.revoked_at.is_none_or(|at| at >= before));
        Ok((count - self.state.sessions.len()) as u64)
    }
}

#[async_trait]
impl AgentRepository for MemoryUnit {
    async fn find(&mut self, id: AgentId) -> Result<Option<Agent>, StoreError> {
        Ok(self.state.agents.iter().find(|a| a.id == id).cloned())
    }
    async fn find_by_username(&mut self, username: &str) -> Result<Option<Agent>, StoreError> {
        Ok(self.state.agents.iter().find(|a| a.username == username).cloned())
    }
    async fn list(&mut self, page: PageRequest) -> Result<Page<Agent>, StoreError> {
        let mut rows = self.state.agents.clone();
        rows.sort_by_key(|a| std::cmp::Reverse((a.created_at, a.id)));
        Ok(Page::from_rows(rows, page.limit, |a| Cursor { at: a.created_at, id: a.id.0 }))
    }
    async fn lock_enabled_admins(&mut self) -> Result<Vec<AgentId>, StoreError> {
        let enabled = |a: &&Agent| a.is_enabled && a.role == AgentRole::Admin;
        Ok(self.state.agents.iter().filter(enabled).map(|a| a.id).collect())
    }
    async fn insert(&mut self, agent: &Agent) -> Result<(), StoreError> {
        if self.state.agents.iter().any(|a| a.username == agent.username) {
            return Err(StoreError::Unique("agents_username".into()));
        }
        self.state.agents.push(agent.clone());
        Ok(())
    }
    async fn update(&mut self, agent: &Agent) -> Result<(), StoreError> {
        compare_and_set(&mut self.state.agents, agent, |row| row.id == agent.id, |row| &mut row.version)
    }
}

#[async_trait]
impl ChallengeRepository for MemoryUnit {
    async fn insert(&mut self, challenge: &Challenge) -> Result<(), StoreError> {
        self.state.challenges.push(challenge.clone());
        Ok(())
    }
    async fn find(&mut self, id: ChallengeId) -> Result<Option<Challenge>, StoreError> {
        Ok(self.state.challenges.iter().find(|c| c.id == id).cloned())
    }
    async fn find_newest(&mut self, phone: &Phone, purpose: Purpose) -> Result<Option<Challenge>, StoreError> {
        let fits = |c: &&Challenge| c.phone == *phone && c.purpose == purpose && c.is_findable_by_phone;
        Ok(self.state.challenges.iter().filter(fits).max_by_key(|c| (c.created_at, c.id)).cloned())
    }
    async fn find_newest_of_device(&mut self, device: &str, purpose: Purpose) -> Result<Option<Challenge>, StoreError> {
        let fits = |c: &&Challenge| c.device.as_deref() == Some(device) && c.purpose == purpose;
        Ok(self.state.challenges.iter().filter(fits).max_by_key(|c| (c.created_at, c.id)).cloned())
    }

    async fn find_open(
        &mut self,
        phone: &Phone,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Vec<Challenge>, StoreError> {
        let is_live = |c: &&Challenge| c.consumed_at.is_none() && c.expires_at > now && c.tries_left > 0;
        let fits = |c: &&Challenge| c.phone == *phone && c.purpose == purpose && is_live(c);
        let mut open: Vec<Challenge> = self.state.challenges.iter().filter(fits).cloned().collect();
        open.sort_by_key(|c| std::cmp::Reverse((c.created_at, c.id)));
        Ok(open)
    }
    async fn take_try(&mut self, id: ChallengeId, now: Timestamp) -> Result<bool, StoreError> {
        let live = |c: &&mut Challenge| c.id == id && c.consumed_at.is_none() && c.expires_at > now && c.tries_left > 0;
        Ok(self.state.challenges.iter_mut().find(live).map(|c| c.tries_left -= 1).is_some())
    }
    async fn consume(&mut self, id: ChallengeId, now: Timestamp) -> Result<bool, StoreError> {
        let live = |c: &&mut Challenge| c.id == id && c.consumed_at.is_none();
        Ok(self.state.challenges.iter_mut().find(live).map(|c| c.consumed_at = Some(now)).is_some())
    }
    async fn purge(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let count = self.state.challenges.len();
        self.state.challenges.retain(|c| c.expires_at >= before);
        Ok((count - self.state.challenges.len()) as u64)
    }
}

#[async_trait]
impl CounterRepository for MemoryUnit {
    async fn lock_ledgers(&mut self, keys: &[LedgerKey]) -> Result<Vec<Ledger>, StoreError> {
        self.peek_ledgers(keys).await
    }
    async fn peek_ledgers(&mut self, keys: &[LedgerKey]) -> Result<Vec<Ledger>, StoreError> {
        let find = |key: &LedgerKey| self.state.ledgers.get(key).cloned();
        Ok(keys.iter().map(|key| find(key).unwrap_or_else(|| Ledger::empty(key.clone()))).collect())
    }
    async fn save_ledgers(&mut self, ledgers: &[Ledger], _now: Timestamp) -> Result<(), StoreError> {
        self.state.ledgers.extend(ledgers.iter().map(|ledger| (ledger.key.clone(), ledger.clone())));
        Ok(())
    }
    async fn lock_guard(&mut self, key: &GuardKey) -> Result<Guard, StoreError> {
        Ok(self.state.guards.get(key).cloned().unwrap_or_else(|| Guard::open(key.clone())))
    }
    async fn save_guard(&mut self, guard: &Guard, _now: Timestamp) -> Result<(), StoreError> {
        self.state.guards.insert(guard.key.clone(), guard.clone());
        Ok(())
    }
    async fn spend(&mut self, one_time: &OneTime) -> Result<bool, StoreError> {
        let is_first = !self.state.spent.iter().any(|spent| spent.id == one_time.id);
        self.state.spent.push(one_time.clone());
        Ok(is_first)
    }
    async fn purge(&mut self, _idle_since: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let count = self.state.spent.len();
        self.state.spent.retain(|spent| spent.expires_at >= now);
        Ok((count - self.state.spent.len()) as u64)
    }
}

#[async_trait]
impl PatientRepository for MemoryUnit {
    async fn find(&mut self, id: PatientId) -> Result<Option<Patient>, StoreError> {
        Ok(self.state.patients.iter().find(|p| p.id == id).cloned())
    }
    async fn find_all(&mut self, ids: &[PatientId]) -> Result<Vec<Patient>, StoreError> {
        Ok(self.state.patients.iter().filter(|p| ids.contains(&p.id)).cloned().collect())
    }
    async fn find_by_user(&mut self, user: UserId) -> Result<Option<Patient>, StoreError> {
        Ok(self.state.patients.iter().find(|p| p.user_id == Some(user)).cloned())
    }
    async fn find_unlinked_by_phone(&mut self, phone: &Phone) -> Result<Option<Patient>, StoreError> {
        let unlinked = |p: &&Patient| p.user_id.is_none() && p.phone.as_ref() == Some(phone);
        Ok(self.state.patients.iter().filter(unlinked).min_by_key(|p| (p.created_at, p.id)).cloned())
    }
    async fn insert(&mut self, patient: &Patient) -> Result<(), StoreError> {
        self.state.patients.push(patient.clone());
        Ok(())
    }
    async fn update(&mut self, patient: &Patient) -> Result<(), StoreError> {
        compare_and_set(&mut self.state.patients, patient, |row| row.id == patient.id, |row| &mut row.version)
    }
}

#[async_trait]
impl DoctorRepository for MemoryUnit {
    async fn find(&mut self, id: DoctorId) -> Result<Option<Doctor>, StoreError> {
        Ok(self.state.doctors.iter().find(|d| d.id == id).cloned())
    }
    async fn find_all(&mut self, ids: &[DoctorId]) -> Result<Vec<Doctor>, StoreError> {
        Ok(self.state.doctors.iter().filter(|d| ids.contains(&d.id)).cloned().collect())
    }
    async fn find_all_shared(&mut self, ids: &[DoctorId]) -> Result<Vec<Doctor>, StoreError> {
        DoctorRepository::find_all(self, ids).await
    }
    async fn find_by_user(&mut self, user: UserId) -> Result<Option<Doctor>, StoreError> {
        Ok(self.state.doctors.iter().find(|d| d.user_id == Some(user)).cloned())
    }
    async fn find_unlinked_by_phone(&mut self, phone: &Phone) -> Result<Option<Doctor>, StoreError> {
        let unlinked = |d: &&Doctor| d.user_id.is_none() && d.phone.as_ref() == Some(phone);
        Ok(self.state.doctors.iter().filter(unlinked).min_by_key(|d| (d.created_at, d.id)).cloned())
    }
    async fn search_certified(
        &mut self,
        _search: &DoctorSearch,
        page: PageRequest,
    ) -> Result<Page<Doctor>, StoreError> {
        self.list_by_certification(Certification::Certified, page).await
    }
    async fn search_all(
        &mut self,
        _search: &DoctorSearch,
        state: Option<Certification>,
        page: PageRequest,
    ) -> Result<Page<Doctor>, StoreError> {
        self.list_by_certification(state.unwrap_or(Certification::Certified), page).await
    }
    async fn list_by_certification(
        &mut self,
        state: Certification,
        page: PageRequest,
    ) -> Result<Page<Doctor>, StoreError> {
        let rows = self.state.doctors.iter().filter(|d| d.certification == state && !d.is_closed()).cloned().collect();
        Ok(Page::from_rows(rows, page.limit, |d: &Doctor| Cursor { at: d.created_at, id: d.id.0 }))
    }
    async fn insert(&mut self, doctor: &Doctor) -> Result<(), StoreError> {
        self.state.doctors.push(doctor.clone());
        Ok(())
    }
    async fn update(&mut self, doctor: &Doctor) -> Result<(), StoreError> {
        compare_and_set(&mut self.state.doctors, doctor, |row| row.id == doctor.id, |row| &mut row.version)
    }
}

#[async_trait]
impl FileRepository for MemoryUnit {
    async fn find(&mut self, id: FileId) -> Result<Option<File>, StoreError> {
        Ok(self.state.files.iter().find(|f| f.id == id).cloned())
    }
    async fn find_all(&mut self, ids: &[FileId]) -> Result<Vec<File>, StoreError> {
        Ok(self.state.files.iter().filter(|f| ids.contains(&f.id)).cloned().collect())
    }
    async fn insert(&mut self, file: &File) -> Result<(), StoreError> {
        if self.refuses_files {
            return Err(StoreError::Corrupt("files".into()));
        }
        self.state.files.push(file.clone());
        Ok(())
    }
    async fn delete(&mut self, id: FileId) -> Result<bool, StoreError> {
        let before = self.state.files.len();
        self.state.files.retain(|file| file.id != id);
        Ok(self.state.files.len() < before)
    }
}

#[async_trait]
impl AuditRepository for MemoryUnit {
    async fn append_all(&mut self, events: &[AuditEvent]) -> Result<(), StoreError> {
        self.state.audit.extend_from_slice(events);
        Ok(())
    }
    async fn list(&mut self, _filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditRecord>, StoreError> {
        let record = |e: &AuditEvent| AuditRecord {
            id: e.id,
            actor: e.actor.clone(),
            action: e.action.to_owned(),
            subject: e.subject.clone(),
            detail: e.detail.clone(),
            at: e.at,
        };
        let rows = self.state.audit.iter().rev().map(record).collect();
        Ok(Page::from_rows(rows, page.limit, |r| Cursor { at: r.at, id: r.id.0 }))
    }
}

#[async_trait]
impl OutboxRepository for MemoryUnit {
    async fn append_all(&mut self, jobs: &[NewJob]) -> Result<(), StoreError> {
        self.state.jobs.extend_from_slice(jobs);
        Ok(())
    }
}

#[async_trait]
impl IdempotencyRepository for MemoryUnit {
    async fn insert_or_find(
        &mut self,
        record: &IdempotencyRecord,
        now: Timestamp,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        self.state.idempotency.retain(|row| row.scope != record.scope || row.expires_at > now);
        let found = self.state.idempotency.iter().find(|row| row.scope == record.scope).cloned();
        if found.is_none() {
            self.state.idempotency.push(record.clone());
        }
        Ok(found)
    }
    async fn take_over(
        &mut self,
        scope: &IdempotencyScope,
        held_until: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.held(scope, held_until).map(|row| row.leased_until = until).is_some())
    }
    async fn complete(
        &mut self,
        scope: &IdempotencyScope,
        held_until: Timestamp,
        response: &StoredResponse,
    ) -> Result<bool, StoreError> {
        Ok(self.held(scope, held_until).map(|row| row.response = Some(response.clone())).is_some())
    }
    async fn release(&mut self, scope: &IdempotencyScope, held_until: Timestamp) -> Result<(), StoreError> {
        let is_held = |r: &IdempotencyRecord| r.scope == *scope && r.leased_until == held_until && r.response.is_none();
        self.state.idempotency.retain(|row| !is_held(row));
        Ok(())
    }
    async fn purge(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let count = self.state.idempotency.len();
        self.state.idempotency.retain(|row| row.expires_at > now);
        Ok((count - self.state.idempotency.len()) as u64)
    }
}

impl MemoryUnit {
    fn held(&mut self, scope: &IdempotencyScope, held_until: Timestamp) -> Option<&mut IdempotencyRecord> {
        let mut rows = self.state.idempotency.iter_mut();
        rows.find(|r| r.scope == *scope && r.leased_until == held_until && r.response.is_none())
    }
}

/// Time that moves only when told to.
pub(crate) struct StoppedClock(Mutex<Timestamp>);

impl StoppedClock {
    pub(crate) fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
    pub(crate) fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = *now + by;
    }
    pub(crate) fn set(&self, at: &str) {
        *self.0.lock().unwrap() = Timestamp::parse_rfc3339(at).unwrap();
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        StoppedClock::now(self)
    }
}

#[derive(Default)]
pub(crate) struct CountingIds(AtomicU32);

impl CountingIds {
    pub(crate) fn next_id(&self) -> ObjectId {
        ObjectId::from_parts(1, [0; 5], self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

impl IdSource for CountingIds {
    fn next(&self) -> ObjectId {
        self.next_id()
    }
}

/// Reproducible, but as evenly spread as the real thing.
#[derive(Default)]
pub(crate) struct CountingRandom(AtomicU64);

impl SecureRandom for CountingRandom {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let block = Sha256::digest(self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

#[derive(Default)]
pub(crate) struct RecordingSms {
    sent: Mutex<Vec<SmsRequest>>,
    is_down: AtomicBool,
}

#[async_trait]
impl SmsGateway for RecordingSms {
    async fn send(&self, message: SmsRequest) -> Result<(), SmsNotSent> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(SmsNotSent);
        }
        self.sent.lock().unwrap().push(message);
        Ok(())
    }

    async fn resend(&self, resend: SmsResend) -> Result<bool, SmsNotSent> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(SmsNotSent);
        }
        let mut sent = self.sent.lock().unwrap();
        let earlier = sent.iter().rev().find(|m| m.thread == resend.thread).cloned();
        let Some(earlier) = earlier else { return Ok(false) };
        sent.push(SmsRequest { idempotency_key: resend.idempotency_key, ..earlier });
        Ok(true)
    }
}

#[derive(Default)]
pub(crate) struct MemoryBlobs(Mutex<HashMap<String, Vec<u8>>>);

impl MemoryBlobs {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn put(&self, key: &str, bytes: Vec<u8>, _mime_type: &str) -> Result<(), BlobError> {
        self.0.lock().unwrap().insert(key.into(), bytes);
        Ok(())
    }
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BlobError> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }
    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.0.lock().unwrap().remove(key);
        Ok(())
    }
}

/// Everything wired together, at noon of 2026-11-23 in Shanghai.
pub(crate) struct Fixture {
    pub(crate) accounts: Accounts,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<StoppedClock>,
    pub(crate) ids: Arc<CountingIds>,
    pub(crate) sms: Arc<RecordingSms>,
    pub(crate) blobs: Arc<MemoryBlobs>,
}

/// The default settings, except that the network 10.0.0.0/8 is exempt.
pub(crate) fn fixture() -> Fixture {
    let store = Arc::new(MemoryStore::default());
    let clock = Arc::new(StoppedClock(Mutex::new(Timestamp::parse_rfc3339("2026-11-23T04:00:00.000Z").unwrap())));
    let ids = Arc::new(CountingIds::default());
    let random = Arc::new(CountingRandom::default());
    let sms = Arc::new(RecordingSms::default());
    let blobs = Arc::new(MemoryBlobs::default());
    let keys = AccountKeys::derive(&[7; 32]).unwrap();
    let captcha_settings = ProofOfWorkSettings { bits: 4, ..ProofOfWorkSettings::default() };
    let captcha = ProofOfWork::new(captcha_settings, keys.clone(), random.clone());
    let cost = PasswordCost { memory_kib: 8, passes: 1, lanes: 1 };
    let ports = AccountPorts {
        store: store.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        random: random.clone(),
        sms: sms.clone(),
        captcha: Arc::new(captcha),
        hasher: Arc::new(ArgonHasher::new(cost, 2, random).unwrap()),
        blobs: blobs.clone(),
    };
    let mut settings = AccountSettings::default();
    settings.codes.exempt_networks = vec!["10.0.0.0/8".parse().unwrap()];
    Fixture { accounts: Accounts::new(ports, keys, settings), store, clock, ids, sms, blobs }
}

/// Any code but this one.
pub(crate) fn other_code(code: &str) -> String {
    if code == "000000" { "000001".into() } else { "000000".into() }
}

/// A millisecond less.
pub(crate) fn just_under(span: Duration) -> Duration {
    span.saturating_sub(Duration::from_millis(1))
}

/// A request from an ordinary address.
pub(crate) fn origin() -> Origin {
    from("192.0.2.1")
}

/// A request from this address without a device.
pub(crate) fn from(address: &str) -> Origin {
    Origin { address: address.parse::<IpAddr>().unwrap(), device: None }
}

impl Fixture {
    /// What is committed.
    pub(crate) fn state(&self) -> State {
        self.store.state.lock().unwrap().clone()
    }

    pub(crate) fn edit(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.store.state.lock().unwrap());
    }

    pub(crate) fn messages(&self) -> Vec<SmsRequest> {
        self.sms.sent.lock().unwrap().clone()
    }

    pub(crate) fn cut_sms(&self) {
        self.sms.is_down.store(true, Ordering::SeqCst);
    }

    /// The code of the last message.
    pub(crate) fn last_code(&self) -> String {
        let messages = self.messages();
        let (_, code) = messages.last().unwrap().params.iter().find(|(name, _)| *name == "code").unwrap();
        code.clone()
    }

    /// Asks for a code from an exempt address.
    pub(crate) async fn request_as(
        &self,
        actor: &Actor,
        purpose: Purpose,
        phone: &str,
    ) -> Result<IssuedChallenge, AccountError> {
        let phone = phone.parse().unwrap();
        let origin = from("10.0.0.1");
        let request = CodeRequest {
            purpose,
            phone,
            origin,
            captcha: None,
            is_findable_by_phone: false,
            is_spared_captcha: false,
        };
        self.accounts.request_code(actor, request).await
    }

    /// A patient signed in with this number.
    pub(crate) async fn sign_in(&self, phone: &str) -> SignedIn {
        self.sign_in_as(phone, Some(Role::Patient)).await
    }

    pub(crate) async fn sign_in_as(&self, phone: &str, role: Option<Role>) -> SignedIn {
        let issued = self.request_as(&Actor::App, Purpose::Login, phone).await.unwrap();
        let request = SmsSignIn {
            challenge: ChallengeRef::Id(issued.id),
            code: self.last_code(),
            role,
            device_label: Some("test".into()),
            origin: from("10.0.0.1"),
        };
        self.accounts.sign_in_with_sms(&Actor::App, request).await.unwrap()
    }

    /// An administrator, always the same one.
    pub(crate) async fn admin(&self) -> Actor {
        const NAME: &str = "fixture.admin";
        let found = self.state().agents.iter().find(|agent| agent.username == NAME).map(|agent| agent.id);
        if let Some(id) = found {
            return Actor::Admin(id);
        }
        let made = self.accounts.create_admin(&Actor::System, NAME, "管理员").await.unwrap();
        Actor::Admin(made.agent.id)
    }
}
