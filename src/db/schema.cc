// SPDX-License-Identifier: Apache-2.0
// The steps of the schema. docs/reference/schema.md tells what the columns mean.
#include "db/migrations.h"
#include "db/mysql_schema.h"

namespace watchwheel::db {
namespace {

// AUTOINCREMENT: the id of a site or an event is never given again, or a new site would inherit an
// old one's history. events.site_id refers to nothing on purpose: events outlive their site.
constexpr const char* kFirstSchema = R"sql(
CREATE TABLE schema_version (
  version    INTEGER PRIMARY KEY,
  title      TEXT NOT NULL,
  applied_at INTEGER NOT NULL
) STRICT;

CREATE TABLE site_changes (
  only       INTEGER PRIMARY KEY CHECK (only = 1),
  newest_seq INTEGER NOT NULL
) STRICT;
INSERT INTO site_changes (only, newest_seq) VALUES (1, 0);

CREATE TABLE sites (
  id          INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 0),
  url         TEXT NOT NULL CHECK (url <> ''),
  url_hash    INTEGER NOT NULL,
  interval_ms INTEGER CHECK (interval_ms BETWEEN 1000 AND 86400000),
  active      INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
  name        TEXT NOT NULL DEFAULT '',
  tags        TEXT NOT NULL DEFAULT '[]' CHECK (substr(tags, 1, 1) = '['),
  options     TEXT NOT NULL DEFAULT '{}' CHECK (substr(options, 1, 1) = '{'),
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  change_seq  INTEGER NOT NULL,
  deleted_at  INTEGER
) STRICT;
CREATE UNIQUE INDEX sites_change ON sites (change_seq);
CREATE INDEX sites_url ON sites (url_hash) WHERE deleted_at IS NULL;
CREATE INDEX sites_deleted ON sites (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE events (
  id                INTEGER PRIMARY KEY AUTOINCREMENT,
  site_id           INTEGER NOT NULL,
  started_at        INTEGER NOT NULL,
  state             TEXT NOT NULL CHECK (state IN ('seems_down', 'down', 'closed')),
  confirmed_at      INTEGER,
  ended_at          INTEGER,
  failures          INTEGER NOT NULL,
  merged            INTEGER NOT NULL,
  transitions_total INTEGER NOT NULL CHECK (transitions_total > 0),
  cause             TEXT NOT NULL,
  phase             TEXT NOT NULL,
  http_status       INTEGER,
  detail            TEXT NOT NULL,
  address           TEXT NOT NULL,
  UNIQUE (site_id, started_at),
  CHECK ((state = 'closed') = (ended_at IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX events_open ON events (site_id) WHERE ended_at IS NULL;
CREATE INDEX events_started ON events (started_at);

CREATE TABLE event_transitions (
  event_id     INTEGER NOT NULL REFERENCES events (id),
  seq          INTEGER NOT NULL CHECK (seq > 0),
  reason       TEXT NOT NULL,
  before_state TEXT NOT NULL,
  after_state  TEXT NOT NULL,
  at           INTEGER NOT NULL,
  failures     INTEGER NOT NULL,
  cause        TEXT NOT NULL,
  phase        TEXT NOT NULL,
  http_status  INTEGER,
  detail       TEXT NOT NULL,
  address      TEXT NOT NULL,
  PRIMARY KEY (event_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE site_state (
  site_id        INTEGER PRIMARY KEY REFERENCES sites (id) ON DELETE CASCADE,
  event_id       INTEGER,
  event_state    TEXT CHECK (event_state IN ('seems_down', 'down')),
  state_since    INTEGER,
  measured       INTEGER CHECK (measured IN (0, 1)),
  checked_at     INTEGER,
  cause          TEXT,
  http_status    INTEGER,
  total_ms       INTEGER,
  next_due_at    INTEGER,
  cert_not_after INTEGER,
  state          TEXT GENERATED ALWAYS AS (
                   CASE WHEN measured = 0 THEN 'unknown'
                        WHEN event_state IS NOT NULL THEN event_state
                        WHEN measured = 1 THEN 'up' END) VIRTUAL,
  CHECK ((event_id IS NULL) = (event_state IS NULL))
) STRICT;
)sql";

// The certificate is a fact of its own: which one, and when another one was seen in its place.
constexpr const char* kCertificates = R"sql(
ALTER TABLE site_state ADD COLUMN cert_sha256 TEXT;
ALTER TABLE site_state ADD COLUMN cert_changed_at INTEGER;
)sql";

// Other programs keep site lists too. What one of them changes without knowing of change_seq takes
// its place in the sequence by itself, and what it deletes leaves its mark: a daemon sees both
// within seconds. The mark stays for a day, whoever deletes it again: a daemon may not have seen it
// yet. Our own statements set change_seq and pay only for the comparison.
constexpr const char* kForeignEdits = R"sql(
CREATE TRIGGER sites_changed_elsewhere
AFTER UPDATE OF url, interval_ms, active, name, tags, options, deleted_at ON sites
WHEN NEW.change_seq = OLD.change_seq
BEGIN
  UPDATE site_changes
  SET newest_seq = max(newest_seq, (SELECT max(change_seq) FROM sites)) + 1;
  UPDATE sites SET change_seq = (SELECT newest_seq FROM site_changes) WHERE id = NEW.id;
END;

CREATE TRIGGER sites_url_changed_elsewhere
AFTER UPDATE OF url ON sites
WHEN NEW.change_seq = OLD.change_seq AND NEW.url <> OLD.url
BEGIN
  UPDATE site_state
  SET measured = NULL, checked_at = NULL, cause = NULL, http_status = NULL, total_ms = NULL,
      next_due_at = NULL, cert_not_after = NULL, cert_sha256 = NULL, cert_changed_at = NULL
  WHERE site_id = NEW.id;
END;

CREATE TRIGGER sites_deleted_elsewhere
BEFORE DELETE ON sites
WHEN OLD.deleted_at IS NULL
  OR OLD.deleted_at > CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) - 86400000
BEGIN
  UPDATE sites
  SET deleted_at = CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)
  WHERE id = OLD.id AND deleted_at IS NULL;
  SELECT RAISE(IGNORE);
END;
)sql";

// When we were blind, and which outages are one: named by their start, so that storing twice stores once.
constexpr const char* kVantage = R"sql(
CREATE TABLE vantage_events (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  started_at INTEGER NOT NULL UNIQUE,
  ended_at   INTEGER,
  reason     TEXT NOT NULL,
  detail     TEXT NOT NULL,
  withheld   INTEGER NOT NULL
) STRICT;
CREATE TABLE outage_groups (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  started_at INTEGER NOT NULL UNIQUE
) STRICT;
ALTER TABLE events ADD COLUMN group_id INTEGER REFERENCES outage_groups (id);
CREATE INDEX events_group ON events (group_id) WHERE group_id IS NOT NULL;
)sql";

// Whether an outage of a group goes on, or ended lately, is asked of each group whenever they are listed: without the end beside
// it every outage of a million sites was read for it.
constexpr const char* kGroupEnds = R"sql(
CREATE INDEX events_group_end ON events (group_id, ended_at) WHERE group_id IS NOT NULL;
DROP INDEX events_group;
)sql";

// What was committed and has to be told (ADR 0020): notices, wakes, deliveries and what became of them. delivery_tellings says of
// each event who was told what, for as long as the event is open.
constexpr const char* kDeliveries = R"sql(
CREATE TABLE outbox (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  site_id   INTEGER NOT NULL,
  event_id  INTEGER NOT NULL,
  seq       INTEGER NOT NULL,
  queued_at INTEGER NOT NULL
) STRICT;

CREATE TABLE outbox_wakes (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  due_at   INTEGER NOT NULL,
  site_id  INTEGER NOT NULL,
  event_id INTEGER NOT NULL,
  memo     TEXT NOT NULL CHECK (length(CAST(memo AS BLOB)) <= 255)
) STRICT;
CREATE INDEX outbox_wakes_due ON outbox_wakes (due_at, id);

CREATE TABLE deliveries (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  target      TEXT NOT NULL CHECK (target <> '' AND length(CAST(target AS BLOB)) <= 64),
  vt          INTEGER NOT NULL,
  state       INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
  line        INTEGER NOT NULL,
  lease_token INTEGER NOT NULL DEFAULT 0,
  lease_node  TEXT NOT NULL DEFAULT '' CHECK (length(CAST(lease_node AS BLOB)) <= 64),
  lease_run   INTEGER NOT NULL DEFAULT 0,
  attempts    INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  rescues     INTEGER NOT NULL DEFAULT 0,
  requeues    INTEGER NOT NULL DEFAULT 0,
  kind        TEXT NOT NULL CHECK (length(CAST(kind AS BLOB)) <= 32),
  message_id  TEXT NOT NULL CHECK (length(CAST(message_id AS BLOB)) <= 64),
  site_id     INTEGER NOT NULL,
  made_at     INTEGER NOT NULL,
  queued_at   INTEGER NOT NULL,
  body        TEXT NOT NULL
) STRICT;
CREATE INDEX deliveries_claim ON deliveries (target, vt, state, id);
CREATE INDEX deliveries_line ON deliveries (target, line, id);

CREATE TABLE delivery_tellings (
  delivery_id INTEGER NOT NULL,
  event_id    INTEGER NOT NULL,
  target      TEXT NOT NULL,
  kind        TEXT NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('queued', 'told', 'dead', 'cancelled')),
  at          INTEGER NOT NULL,
  PRIMARY KEY (delivery_id, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_tellings_event ON delivery_tellings (event_id, delivery_id);

CREATE TABLE delivery_attempts (
  delivery_id INTEGER NOT NULL,
  requeues    INTEGER NOT NULL,
  attempt     INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  took_ms     INTEGER NOT NULL,
  http_status INTEGER,
  verdict     TEXT NOT NULL CHECK (verdict IN ('retry', 'dead')),
  detail      TEXT NOT NULL,
  PRIMARY KEY (delivery_id, requeues, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries_done (
  id          INTEGER PRIMARY KEY,
  target      TEXT NOT NULL,
  outcome     TEXT NOT NULL CHECK (outcome IN ('delivered', 'cancelled')),
  kind        TEXT NOT NULL,
  message_id  TEXT NOT NULL,
  site_id     INTEGER NOT NULL,
  attempts    INTEGER NOT NULL,
  requeues    INTEGER NOT NULL,
  http_status INTEGER,
  took_ms     INTEGER NOT NULL,
  made_at     INTEGER NOT NULL,
  done_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_done_at ON deliveries_done (done_at);

CREATE TABLE dead_letters (
  id          INTEGER PRIMARY KEY,
  target      TEXT NOT NULL,
  line        INTEGER NOT NULL,
  reason      TEXT NOT NULL,
  kind        TEXT NOT NULL,
  message_id  TEXT NOT NULL,
  site_id     INTEGER NOT NULL,
  attempts    INTEGER NOT NULL,
  rescues     INTEGER NOT NULL,
  requeues    INTEGER NOT NULL,
  http_status INTEGER,
  detail      TEXT NOT NULL,
  made_at     INTEGER NOT NULL,
  died_at     INTEGER NOT NULL,
  body        TEXT NOT NULL
) STRICT;
CREATE INDEX dead_letters_target ON dead_letters (target, id);
CREATE INDEX dead_letters_died ON dead_letters (died_at);
)sql";

// What is open of one URL says nothing of another one: until that is checked, nobody knows.
constexpr const char* kOtherUrl = R"sql(
DROP TRIGGER sites_url_changed_elsewhere;
CREATE TRIGGER sites_url_changed_elsewhere
AFTER UPDATE OF url ON sites
WHEN NEW.change_seq = OLD.change_seq AND NEW.url <> OLD.url
BEGIN
  UPDATE site_state
  SET measured = CASE WHEN event_state IS NOT NULL THEN 0 END, checked_at = NULL, cause = NULL,
      http_status = NULL, total_ms = NULL, next_due_at = NULL, cert_not_after = NULL,
      cert_sha256 = NULL, cert_changed_at = NULL
  WHERE site_id = NEW.id;
END;
)sql";

// How an outage was confirmed, and what each vantage saw of it: of the event its newest round, of a transition what earned it.
constexpr const char* kWitnesses = R"sql(
ALTER TABLE events ADD COLUMN witnesses TEXT;
ALTER TABLE event_transitions ADD COLUMN witnesses TEXT;
)sql";

// When nobody knew how a site was. What is not written here is known, and a report counts on it.
constexpr const char* kGaps = R"sql(
CREATE TABLE site_gaps (
  site_id    INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at   INTEGER NOT NULL CHECK (ended_at > started_at),
  PRIMARY KEY (site_id, started_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX site_gaps_end ON site_gaps (ended_at);
)sql";

// When nobody is to be told (ADR 0024). Once: weekdays is 0, and both times are set.
constexpr const char* kMaintenance = R"sql(
CREATE TABLE maintenance_windows (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  title      TEXT NOT NULL CHECK (length(CAST(title AS BLOB)) <= 256),
  all_sites  INTEGER NOT NULL CHECK (all_sites IN (0, 1)),
  sites      TEXT NOT NULL CHECK (substr(sites, 1, 1) = '['),
  tags       TEXT NOT NULL CHECK (substr(tags, 1, 1) = '['),
  starts_at  INTEGER,
  ends_at    INTEGER,
  weekdays   INTEGER NOT NULL CHECK (weekdays BETWEEN 0 AND 127),
  at_minutes INTEGER NOT NULL CHECK (at_minutes BETWEEN 0 AND 1439),
  length_ms  INTEGER NOT NULL CHECK (length_ms >= 0),
  zone       TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  CHECK (weekdays > 0 OR (starts_at IS NOT NULL AND ends_at IS NOT NULL))
) STRICT;
)sql";

// How fast sites answered: of each site by day, of not too many by hour, and of all that one node asks by minute. known_from: what is
// older was removed, so a report says nothing of it.
constexpr const char* kResponses = R"sql(
CREATE TABLE response_rollups (
  width_ms   INTEGER NOT NULL CHECK (width_ms IN (3600000, 86400000)),
  started_at INTEGER NOT NULL,
  site_id    INTEGER NOT NULL,
  counts     TEXT NOT NULL CHECK (counts <> ''),
  PRIMARY KEY (width_ms, started_at, site_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE response_minutes (
  started_at INTEGER NOT NULL,
  node       TEXT NOT NULL CHECK (length(CAST(node AS BLOB)) <= 64),
  counts     TEXT NOT NULL CHECK (counts <> ''),
  PRIMARY KEY (started_at, node)
) STRICT, WITHOUT ROWID;
CREATE TABLE history_kept (
  what       TEXT PRIMARY KEY,
  known_from INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

// What people did to an event, and what they ask to be done (operator_api.h).
constexpr const char* kByHand = R"sql(
ALTER TABLE event_transitions ADD COLUMN act TEXT CHECK (act IN ('ack', 'comment', 'close'));
ALTER TABLE event_transitions ADD COLUMN who TEXT;
ALTER TABLE event_transitions ADD COLUMN why TEXT;
ALTER TABLE event_transitions ADD COLUMN source TEXT;
ALTER TABLE events ADD COLUMN acked_at INTEGER;
ALTER TABLE events ADD COLUMN acked_by TEXT;

CREATE TABLE operator_requests (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id INTEGER NOT NULL,
  act      TEXT NOT NULL CHECK (act IN ('ack', 'comment', 'close')),
  who      TEXT NOT NULL,
  why      TEXT NOT NULL,
  source   TEXT NOT NULL,
  asked_at INTEGER NOT NULL,
  done_at  INTEGER,
  refused  TEXT
) STRICT;
CREATE INDEX operator_requests_done ON operator_requests (done_at, id);
)sql";

// Which targets processes have configured, and when one last said so: what waits for others is buried (ADR 0021).
constexpr const char* kSeenTargets = R"sql(
CREATE TABLE delivery_targets (
  target  TEXT PRIMARY KEY,
  seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

// By what a request that is sent twice is known.
constexpr const char* kRequestKeys = R"sql(
ALTER TABLE operator_requests ADD COLUMN asked_key TEXT;
CREATE UNIQUE INDEX operator_requests_key ON operator_requests (asked_key);
)sql";

// What waits of a site: before something is told that begins there, the end of what was before is.
constexpr const char* kWakesOfSites = R"sql(
CREATE INDEX outbox_wakes_site ON outbox_wakes (site_id);
)sql";

// Which sites depend on which: while a parent is down nobody is told of its children.
constexpr const char* kParents = R"sql(
CREATE TABLE site_parents (
  site_id   INTEGER NOT NULL,
  parent_id INTEGER NOT NULL CHECK (parent_id <> site_id),
  PRIMARY KEY (site_id, parent_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX site_parents_parent ON site_parents (parent_id);
)sql";

// Warnings are events of their own kinds, of which one each may be open beside an outage. What a table checks and what is unique in
// it SQLite cannot change: both tables are made anew, the transitions because they refer to the events. No id is given again.
constexpr const char* kWarnings = R"sql(
CREATE TABLE events_new (
  id                INTEGER PRIMARY KEY AUTOINCREMENT,
  site_id           INTEGER NOT NULL,
  kind              TEXT NOT NULL DEFAULT 'outage' CHECK (kind <> ''),
  started_at        INTEGER NOT NULL,
  state             TEXT NOT NULL CHECK (state IN ('seems_down', 'down', 'warning', 'closed')),
  confirmed_at      INTEGER,
  ended_at          INTEGER,
  failures          INTEGER NOT NULL,
  merged            INTEGER NOT NULL,
  transitions_total INTEGER NOT NULL CHECK (transitions_total > 0),
  cause             TEXT NOT NULL,
  phase             TEXT NOT NULL,
  http_status       INTEGER,
  detail            TEXT NOT NULL,
  address           TEXT NOT NULL,
  group_id          INTEGER REFERENCES outage_groups (id),
  witnesses         TEXT,
  acked_at          INTEGER,
  acked_by          TEXT,
  step_ms           INTEGER,
  UNIQUE (site_id, started_at, kind),
  CHECK ((state = 'closed') = (ended_at IS NOT NULL)),
  CHECK (state = 'closed' OR (state = 'warning') = (kind <> 'outage'))
) STRICT;
INSERT INTO events_new (id, site_id, started_at, state, confirmed_at, ended_at, failures, merged,
  transitions_total, cause, phase, http_status, detail, address, group_id, witnesses, acked_at, acked_by)
SELECT id, site_id, started_at, state, confirmed_at, ended_at, failures, merged, transitions_total,
  cause, phase, http_status, detail, address, group_id, witnesses, acked_at, acked_by FROM events;

CREATE TABLE event_transitions_new (
  event_id     INTEGER NOT NULL REFERENCES events_new (id),
  seq          INTEGER NOT NULL CHECK (seq > 0),
  reason       TEXT NOT NULL,
  before_state TEXT NOT NULL,
  after_state  TEXT NOT NULL,
  at           INTEGER NOT NULL,
  failures     INTEGER NOT NULL,
  cause        TEXT NOT NULL,
  phase        TEXT NOT NULL,
  http_status  INTEGER,
  detail       TEXT NOT NULL,
  address      TEXT NOT NULL,
  witnesses    TEXT,
  act          TEXT CHECK (act IN ('ack', 'comment', 'close')),
  who          TEXT,
  why          TEXT,
  source       TEXT,
  step_ms      INTEGER,
  PRIMARY KEY (event_id, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO event_transitions_new (event_id, seq, reason, before_state, after_state, at, failures,
  cause, phase, http_status, detail, address, witnesses, act, who, why, source)
SELECT event_id, seq, reason, before_state, after_state, at, failures, cause, phase, http_status,
  detail, address, witnesses, act, who, why, source FROM event_transitions;

DELETE FROM sqlite_sequence WHERE name = 'events_new';
INSERT INTO sqlite_sequence (name, seq)
SELECT 'events_new', seq FROM sqlite_sequence WHERE name = 'events';
DROP TABLE event_transitions;
DROP TABLE events;
ALTER TABLE events_new RENAME TO events;
ALTER TABLE event_transitions_new RENAME TO event_transitions;
CREATE UNIQUE INDEX events_open ON events (site_id, kind) WHERE ended_at IS NULL;
CREATE INDEX events_started ON events (started_at);
CREATE INDEX events_group_end ON events (group_id, ended_at) WHERE group_id IS NOT NULL;
)sql";

// How fast sites answered: of 128 neighbours in one row, written once an hour. What was kept of each site alone goes.
constexpr const char* kResponsePages = R"sql(
CREATE TABLE response_pages (
  width_ms   INTEGER NOT NULL CHECK (width_ms IN (3600000, 86400000)),
  started_at INTEGER NOT NULL,
  page       INTEGER NOT NULL,
  node       TEXT NOT NULL CHECK (length(CAST(node AS BLOB)) <= 64),
  token      INTEGER NOT NULL,
  counts     TEXT NOT NULL CHECK (counts <> ''),
  PRIMARY KEY (width_ms, started_at, page, node)
) STRICT;
DROP TABLE response_rollups;
)sql";

const std::vector<SchemaStep>& sqlite_steps() {
  static const std::vector<SchemaStep> steps{
      {1, "sites, their state, events and transitions", kFirstSchema},
      {2, "which certificate a site shows, and since when", kCertificates},
      {3, "edits by other programs are seen", kForeignEdits},
      {4, "faults of the vantage, and outages that are one", kVantage},
      {5, "groups of outages are found by their end", kGroupEnds},
      {6, "what has to be told: notices, deliveries, dead letters", kDeliveries},
      {7, "a site with another URL is unknown, whatever is open", kOtherUrl},
      {8, "what other vantages saw", kWitnesses},
      {9, "when nobody knew how a site was", kGaps},
      {10, "maintenance windows", kMaintenance},
      {11, "how fast sites answered, and how far back history goes", kResponses},
      {12, "what people do to an event", kByHand},
      {13, "which targets somebody has configured", kSeenTargets},
      {14, "sites that depend on others", kParents},
      {15, "a request that is sent twice is one", kRequestKeys},
      {16, "what waits of a site is found", kWakesOfSites},
      {17, "warnings, as events of their own kinds", kWarnings},
      {18, "response times of many sites in a row", kResponsePages},
  };
  return steps;
}

}  // namespace

const std::vector<SchemaStep>& schema_steps(Dialect dialect) {
  return dialect == Dialect::Sqlite ? sqlite_steps() : mysql_steps();
}

}  // namespace watchwheel::db
