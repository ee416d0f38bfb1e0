// SPDX-License-Identifier: Apache-2.0
// The steps of the schema for MySQL and MariaDB. docs/reference/schema.md tells what the columns mean.
#include "db/mysql_schema.h"

namespace watchwheel::db {
namespace {

// Every statement may be run again: see migrations.h. They are parted at ";" before a line end.
//
// utf8mb4_bin: two URLs that differ in case are two URLs. (Spaces at the end count for nothing; no URL has them.)
// open_site is what a partial index would be: the site while the event is open, and unique then.
// There are no references between tables: a check of one takes a lock on the other table's row, and the list's editors,
// the shards and the projector would meet in deadlocks. Removing sites removes their state (sql_site_catalog.cc).
constexpr const char* kFirstSchema = R"sql(
CREATE TABLE IF NOT EXISTS schema_version (
  version    INT UNSIGNED NOT NULL PRIMARY KEY,
  title      VARCHAR(255) NOT NULL,
  applied_at BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS site_changes (
  only_row   TINYINT NOT NULL PRIMARY KEY,
  newest_seq BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

INSERT INTO site_changes (only_row, newest_seq) VALUES (1, 0) ON DUPLICATE KEY UPDATE only_row = only_row;

CREATE TABLE IF NOT EXISTS sites (
  id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  url         VARCHAR(2048) NOT NULL,
  url_hash    BIGINT NOT NULL DEFAULT 0,
  interval_ms INT,
  active      TINYINT NOT NULL DEFAULT 1,
  name        VARCHAR(256) NOT NULL DEFAULT '',
  tags        TEXT NOT NULL DEFAULT ('[]'),
  options     MEDIUMTEXT NOT NULL DEFAULT ('{}'),
  created_at  BIGINT NOT NULL DEFAULT 0,
  updated_at  BIGINT NOT NULL DEFAULT 0,
  change_seq  BIGINT NOT NULL DEFAULT 0,
  deleted_at  BIGINT,
  UNIQUE KEY sites_change (change_seq),
  KEY sites_url (url_hash),
  KEY sites_deleted (deleted_at),
  CONSTRAINT sites_interval CHECK (interval_ms BETWEEN 1000 AND 86400000),
  CONSTRAINT sites_active CHECK (active IN (0, 1)),
  CONSTRAINT sites_url_there CHECK (url <> '')
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS events (
  id                BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  site_id           BIGINT NOT NULL,
  started_at        BIGINT NOT NULL,
  state             VARCHAR(16) NOT NULL,
  confirmed_at      BIGINT,
  ended_at          BIGINT,
  failures          BIGINT NOT NULL,
  merged            BIGINT NOT NULL,
  transitions_total BIGINT NOT NULL,
  cause             VARCHAR(32) NOT NULL,
  phase             VARCHAR(16) NOT NULL,
  http_status       SMALLINT UNSIGNED,
  detail            VARCHAR(512) NOT NULL,
  address           VARCHAR(64) NOT NULL,
  open_site         BIGINT AS (IF(ended_at IS NULL, site_id, NULL)) STORED,
  UNIQUE KEY events_named (site_id, started_at),
  UNIQUE KEY events_open (open_site),
  KEY events_started (started_at),
  CONSTRAINT events_state CHECK (state IN ('seems_down', 'down', 'closed')),
  CONSTRAINT events_end CHECK ((state = 'closed') = (ended_at IS NOT NULL)),
  CONSTRAINT events_total CHECK (transitions_total > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS event_transitions (
  event_id     BIGINT NOT NULL,
  seq          BIGINT NOT NULL,
  reason       VARCHAR(32) NOT NULL,
  before_state VARCHAR(16) NOT NULL,
  after_state  VARCHAR(16) NOT NULL,
  at           BIGINT NOT NULL,
  failures     BIGINT NOT NULL,
  cause        VARCHAR(32) NOT NULL,
  phase        VARCHAR(16) NOT NULL,
  http_status  SMALLINT UNSIGNED,
  detail       VARCHAR(512) NOT NULL,
  address      VARCHAR(64) NOT NULL,
  PRIMARY KEY (event_id, seq)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS site_state (
  site_id         BIGINT NOT NULL PRIMARY KEY,
  event_id        BIGINT,
  event_state     VARCHAR(16),
  state_since     BIGINT,
  measured        TINYINT,
  checked_at      BIGINT,
  cause           VARCHAR(32),
  http_status     SMALLINT UNSIGNED,
  total_ms        BIGINT,
  next_due_at     BIGINT,
  cert_not_after  BIGINT,
  cert_sha256     VARCHAR(64),
  cert_changed_at BIGINT,
  state           VARCHAR(16) AS (CASE WHEN measured = 0 THEN 'unknown' WHEN event_state IS NOT NULL THEN event_state
                                       WHEN measured = 1 THEN 'up' END) VIRTUAL,
  CONSTRAINT site_state_event CHECK ((event_id IS NULL) = (event_state IS NULL)),
  CONSTRAINT site_state_open CHECK (event_state IN ('seems_down', 'down'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
)sql";

// Other programs keep site lists too. What one of them inserts or changes without knowing of change_seq takes its place in the
// sequence by itself. A deletion cannot be turned into the mark that a daemon would see, so it is refused with what to do instead,
// and a mark that is younger than a day cannot be deleted: a daemon may not have seen it yet;
// our own removes rows that have been marked for a week. Each trigger is one line: see above.
constexpr const char* kForeignEdits = R"sql(
CREATE TRIGGER sites_inserted BEFORE INSERT ON sites FOR EACH ROW BEGIN IF NEW.change_seq = 0 THEN UPDATE site_changes SET newest_seq = greatest(newest_seq, coalesce((SELECT max(change_seq) FROM sites), 0)) + 1; SET NEW.change_seq = (SELECT newest_seq FROM site_changes); END IF; END;

CREATE TRIGGER sites_changed BEFORE UPDATE ON sites FOR EACH ROW BEGIN IF NEW.change_seq = OLD.change_seq THEN UPDATE site_changes SET newest_seq = greatest(newest_seq, coalesce((SELECT max(change_seq) FROM sites), 0)) + 1; SET NEW.change_seq = (SELECT newest_seq FROM site_changes); IF NEW.url <> OLD.url THEN UPDATE site_state SET measured = NULL, checked_at = NULL, cause = NULL, http_status = NULL, total_ms = NULL, next_due_at = NULL, cert_not_after = NULL, cert_sha256 = NULL, cert_changed_at = NULL WHERE site_id = NEW.id; END IF; END IF; END;

CREATE TRIGGER sites_deleted BEFORE DELETE ON sites FOR EACH ROW BEGIN IF OLD.deleted_at IS NULL THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'set deleted_at (milliseconds since 1970) instead, or use watchwheel sites remove'; ELSEIF OLD.deleted_at > (UNIX_TIMESTAMP() - 86400) * 1000 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a removed site stays for a day, so that daemons see that it was removed'; END IF; END;
)sql";

// When we were blind, and which outages are one: named by their start, so that storing twice stores once.
constexpr const char* kVantage = R"sql(
CREATE TABLE IF NOT EXISTS vantage_events (
  id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  started_at BIGINT NOT NULL,
  ended_at   BIGINT,
  reason     VARCHAR(32) NOT NULL,
  detail     VARCHAR(512) NOT NULL,
  withheld   BIGINT NOT NULL,
  UNIQUE KEY vantage_events_named (started_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS outage_groups (
  id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  started_at BIGINT NOT NULL,
  UNIQUE KEY outage_groups_named (started_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

ALTER TABLE events ADD COLUMN group_id BIGINT;

ALTER TABLE events ADD KEY events_group (group_id);
)sql";

// Where the site list comes from, when it is not the store's own: the table of another program.
constexpr const char* kSiteOrigin = R"sql(
CREATE TABLE IF NOT EXISTS site_origin (
  only_row TINYINT NOT NULL PRIMARY KEY,
  place    VARCHAR(160) NOT NULL,
  since    BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
)sql";

// Whether an outage of a group goes on, or ended lately, is asked of each group whenever they are listed: without the end beside
// it every outage of a million sites was read for it.
constexpr const char* kGroupEnds = R"sql(
ALTER TABLE events ADD KEY events_group_end (group_id, ended_at);

ALTER TABLE events DROP KEY events_group;
)sql";

// The bucket of a site is computed from its id (core/buckets.h, the same expression). A computed column may not look at an
// AUTO_INCREMENT one, so a narrow table beside the sites, kept by triggers, lets one bucket be read without a scan.
#define WATCHWHEEL_BUCKET_HASH(id) "(((" id " ^ (" id " >> 16) ^ (" id " >> 32)) & 65535) * 40503) & 65535"
constexpr const char* kManyHosts = R"sql(
CREATE TABLE IF NOT EXISTS nodes (
  name         VARCHAR(64) NOT NULL PRIMARY KEY,
  instance     VARCHAR(160) NOT NULL,
  state        VARCHAR(16) NOT NULL,
  weight       INT NOT NULL,
  version      VARCHAR(64) NOT NULL,
  started_at   BIGINT NOT NULL,
  seen_at      BIGINT NOT NULL,
  lease_ms     BIGINT NOT NULL,
  drain_wanted TINYINT NOT NULL DEFAULT 0,
  CONSTRAINT nodes_state CHECK (state IN ('active', 'draining', 'gone'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS node_writers (
  node   VARCHAR(64) NOT NULL,
  writer VARCHAR(16) NOT NULL,
  fence  BIGINT NOT NULL,
  writes BIGINT NOT NULL,
  PRIMARY KEY (node, writer)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS bucket_leases (
  bucket     INT NOT NULL PRIMARY KEY,
  owner      VARCHAR(64) NOT NULL DEFAULT '',
  epoch      BIGINT NOT NULL DEFAULT 0,
  expires_at BIGINT NOT NULL DEFAULT 0,
  taker      VARCHAR(64) NOT NULL DEFAULT '',
  cut_at     BIGINT NOT NULL DEFAULT 0,
  moved_at   BIGINT NOT NULL DEFAULT 0,
  KEY bucket_leases_owner (owner)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS site_buckets (
  bucket_hash SMALLINT UNSIGNED NOT NULL,
  site_id     BIGINT NOT NULL,
  PRIMARY KEY (bucket_hash, site_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TRIGGER sites_bucket_added AFTER INSERT ON sites FOR EACH ROW INSERT IGNORE INTO site_buckets (bucket_hash, site_id) VALUES ()sql"
    WATCHWHEEL_BUCKET_HASH("NEW.id") R"sql(, NEW.id);

CREATE TRIGGER sites_bucket_dropped AFTER DELETE ON sites FOR EACH ROW DELETE FROM site_buckets WHERE site_id = OLD.id AND bucket_hash = )sql"
    WATCHWHEEL_BUCKET_HASH("OLD.id") R"sql(;

INSERT IGNORE INTO site_buckets (bucket_hash, site_id) SELECT )sql"
    WATCHWHEEL_BUCKET_HASH("id") R"sql(, id FROM sites;

ALTER TABLE vantage_events ADD COLUMN node VARCHAR(64) NOT NULL DEFAULT '';

ALTER TABLE vantage_events ADD UNIQUE KEY vantage_events_of_node (node, started_at);

ALTER TABLE vantage_events DROP KEY vantage_events_named;
)sql";

// What was committed and has to be told (ADR 0020): notices, wakes, deliveries and what became of them. deliveries_claim holds all
// that a claim and the levels look at; deliveries_line says who stands before whom.
constexpr const char* kDeliveries = R"sql(
CREATE TABLE IF NOT EXISTS outbox (
  id        BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  site_id   BIGINT NOT NULL,
  event_id  BIGINT NOT NULL,
  seq       BIGINT NOT NULL,
  queued_at BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS outbox_wakes (
  id       BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  due_at   BIGINT NOT NULL,
  site_id  BIGINT NOT NULL,
  event_id BIGINT NOT NULL,
  memo     VARCHAR(255) NOT NULL,
  KEY outbox_wakes_due (due_at, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS deliveries (
  id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  target      VARCHAR(64) NOT NULL,
  vt          BIGINT NOT NULL,
  state       TINYINT NOT NULL,
  line        BIGINT NOT NULL,
  lease_token BIGINT NOT NULL DEFAULT 0,
  lease_node  VARCHAR(64) NOT NULL DEFAULT '',
  lease_run   BIGINT NOT NULL DEFAULT 0,
  attempts    INT NOT NULL DEFAULT 0,
  rescues     INT NOT NULL DEFAULT 0,
  requeues    INT NOT NULL DEFAULT 0,
  kind        VARCHAR(32) NOT NULL,
  message_id  VARCHAR(64) NOT NULL,
  site_id     BIGINT NOT NULL,
  made_at     BIGINT NOT NULL,
  queued_at   BIGINT NOT NULL,
  body        MEDIUMTEXT NOT NULL,
  KEY deliveries_claim (target, vt, state, id),
  KEY deliveries_line (target, line, id),
  CONSTRAINT deliveries_state CHECK (state IN (0, 1, 2)),
  CONSTRAINT deliveries_attempts CHECK (attempts >= 0),
  CONSTRAINT deliveries_target CHECK (target <> '')
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS delivery_tellings (
  delivery_id BIGINT NOT NULL,
  event_id    BIGINT NOT NULL,
  target      VARCHAR(64) NOT NULL,
  kind        VARCHAR(32) NOT NULL,
  state       VARCHAR(16) NOT NULL,
  at          BIGINT NOT NULL,
  PRIMARY KEY (delivery_id, event_id),
  KEY delivery_tellings_event (event_id, delivery_id),
  CONSTRAINT delivery_tellings_state CHECK (state IN ('queued', 'told', 'dead', 'cancelled'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS delivery_attempts (
  delivery_id BIGINT NOT NULL,
  requeues    INT NOT NULL,
  attempt     INT NOT NULL,
  at          BIGINT NOT NULL,
  took_ms     BIGINT NOT NULL,
  http_status SMALLINT UNSIGNED,
  verdict     VARCHAR(16) NOT NULL,
  detail      VARCHAR(512) NOT NULL,
  PRIMARY KEY (delivery_id, requeues, attempt),
  CONSTRAINT delivery_attempts_verdict CHECK (verdict IN ('retry', 'dead'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS deliveries_done (
  id          BIGINT NOT NULL PRIMARY KEY,
  target      VARCHAR(64) NOT NULL,
  outcome     VARCHAR(16) NOT NULL,
  kind        VARCHAR(32) NOT NULL,
  message_id  VARCHAR(64) NOT NULL,
  site_id     BIGINT NOT NULL,
  attempts    INT NOT NULL,
  requeues    INT NOT NULL,
  http_status SMALLINT UNSIGNED,
  took_ms     BIGINT NOT NULL,
  made_at     BIGINT NOT NULL,
  done_at     BIGINT NOT NULL,
  KEY deliveries_done_at (done_at),
  CONSTRAINT deliveries_done_outcome CHECK (outcome IN ('delivered', 'cancelled'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS dead_letters (
  id          BIGINT NOT NULL PRIMARY KEY,
  target      VARCHAR(64) NOT NULL,
  line        BIGINT NOT NULL,
  reason      VARCHAR(32) NOT NULL,
  kind        VARCHAR(32) NOT NULL,
  message_id  VARCHAR(64) NOT NULL,
  site_id     BIGINT NOT NULL,
  attempts    INT NOT NULL,
  rescues     INT NOT NULL,
  requeues    INT NOT NULL,
  http_status SMALLINT UNSIGNED,
  detail      VARCHAR(512) NOT NULL,
  made_at     BIGINT NOT NULL,
  died_at     BIGINT NOT NULL,
  body        MEDIUMTEXT NOT NULL,
  KEY dead_letters_target (target, id),
  KEY dead_letters_died (died_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
)sql";

// What is open of one URL says nothing of another one: until that is checked, nobody knows. The new trigger is there before the old one
// goes, so that no edit falls between them; where both are, the second finds the work done.
constexpr const char* kOtherUrl = R"sql(
CREATE TRIGGER sites_edited BEFORE UPDATE ON sites FOR EACH ROW BEGIN IF NEW.change_seq = OLD.change_seq THEN UPDATE site_changes SET newest_seq = greatest(newest_seq, coalesce((SELECT max(change_seq) FROM sites), 0)) + 1; SET NEW.change_seq = (SELECT newest_seq FROM site_changes); IF NEW.url <> OLD.url THEN UPDATE site_state SET measured = IF(event_state IS NULL, NULL, 0), checked_at = NULL, cause = NULL, http_status = NULL, total_ms = NULL, next_due_at = NULL, cert_not_after = NULL, cert_sha256 = NULL, cert_changed_at = NULL WHERE site_id = NEW.id; END IF; END IF; END;

DROP TRIGGER IF EXISTS sites_changed;
)sql";

// How an outage was confirmed, and what each vantage saw of it: of the event its newest round, of a transition what earned it.
constexpr const char* kWitnesses = R"sql(
ALTER TABLE events ADD COLUMN witnesses TEXT;

ALTER TABLE event_transitions ADD COLUMN witnesses TEXT;
)sql";

// When nobody knew how a site was. What is not written here is known, and a report counts on it.
constexpr const char* kGaps = R"sql(
CREATE TABLE IF NOT EXISTS site_gaps (
  site_id    BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at   BIGINT NOT NULL,
  PRIMARY KEY (site_id, started_at),
  KEY site_gaps_end (ended_at),
  CONSTRAINT site_gaps_length CHECK (ended_at > started_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
)sql";

// When nobody is to be told (ADR 0024). Once: weekdays is 0, and both times are set.
constexpr const char* kMaintenance = R"sql(
CREATE TABLE IF NOT EXISTS maintenance_windows (
  id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  title      VARCHAR(256) NOT NULL,
  all_sites  TINYINT NOT NULL,
  sites      TEXT NOT NULL,
  tags       TEXT NOT NULL,
  starts_at  BIGINT,
  ends_at    BIGINT,
  weekdays   SMALLINT NOT NULL,
  at_minutes SMALLINT NOT NULL,
  length_ms  BIGINT NOT NULL,
  zone       VARCHAR(64) NOT NULL,
  created_at BIGINT NOT NULL,
  created_by VARCHAR(128) NOT NULL,
  CONSTRAINT maintenance_weekdays CHECK (weekdays BETWEEN 0 AND 127),
  CONSTRAINT maintenance_at CHECK (at_minutes BETWEEN 0 AND 1439),
  CONSTRAINT maintenance_once CHECK (weekdays > 0 OR (starts_at IS NOT NULL AND ends_at IS NOT NULL))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
)sql";

// How fast sites answered: of each site by day, of not too many by hour, and of all that one node asks by minute. known_from: what is
// older was removed, so a report says nothing of it.
constexpr const char* kResponses = R"sql(
CREATE TABLE IF NOT EXISTS response_rollups (
  width_ms   INT NOT NULL,
  started_at BIGINT NOT NULL,
  site_id    BIGINT NOT NULL,
  counts     VARCHAR(1536) CHARACTER SET ascii NOT NULL,
  PRIMARY KEY (width_ms, started_at, site_id),
  CONSTRAINT response_rollups_width CHECK (width_ms IN (3600000, 86400000))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS response_minutes (
  started_at BIGINT NOT NULL,
  node       VARCHAR(64) NOT NULL,
  counts     VARCHAR(1536) CHARACTER SET ascii NOT NULL,
  PRIMARY KEY (started_at, node)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS history_kept (
  what       VARCHAR(32) NOT NULL PRIMARY KEY,
  known_from BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
)sql";

// What people did to an event, and what they ask to be done (operator_api.h).
constexpr const char* kByHand = R"sql(
ALTER TABLE event_transitions ADD COLUMN act VARCHAR(16);
ALTER TABLE event_transitions ADD COLUMN who VARCHAR(128);
ALTER TABLE event_transitions ADD COLUMN why VARCHAR(1000);
ALTER TABLE event_transitions ADD COLUMN source VARCHAR(32);
ALTER TABLE events ADD COLUMN acked_at BIGINT;
ALTER TABLE events ADD COLUMN acked_by VARCHAR(128);

CREATE TABLE IF NOT EXISTS operator_requests (
  id       BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  event_id BIGINT NOT NULL,
  act      VARCHAR(16) NOT NULL,
  who      VARCHAR(128) NOT NULL,
  why      VARCHAR(1000) NOT NULL,
  source   VARCHAR(32) NOT NULL,
  asked_at BIGINT NOT NULL,
  done_at  BIGINT,
  refused  VARCHAR(512),
  KEY operator_requests_done (done_at, id),
  CONSTRAINT operator_requests_act CHECK (act IN ('ack', 'comment', 'close'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
)sql";

// Which targets processes have configured, and when one last said so: what waits for others is buried (ADR 0021).
constexpr const char* kSeenTargets = R"sql(
CREATE TABLE IF NOT EXISTS delivery_targets (
  target  VARCHAR(64) NOT NULL PRIMARY KEY,
  seen_at BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
)sql";

// By what a request that is sent twice is known.
constexpr const char* kRequestKeys = R"sql(
ALTER TABLE operator_requests ADD COLUMN asked_key VARCHAR(128);
CREATE UNIQUE INDEX operator_requests_key ON operator_requests (asked_key);
)sql";

// What waits of a site: before something is told that begins there, the end of what was before is.
constexpr const char* kWakesOfSites = R"sql(
ALTER TABLE outbox_wakes ADD KEY outbox_wakes_site (site_id);
)sql";

// Which sites depend on which: while a parent is down nobody is told of its children.
constexpr const char* kParents = R"sql(
CREATE TABLE IF NOT EXISTS site_parents (
  site_id   BIGINT NOT NULL,
  parent_id BIGINT NOT NULL,
  PRIMARY KEY (site_id, parent_id),
  KEY site_parents_parent (parent_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
)sql";

// Warnings are events of their own kinds, of which one each may be open beside an outage. One statement: the table is copied once, and
// done twice it fails for its columns.
constexpr const char* kWarnings = R"sql(
ALTER TABLE events
  ADD COLUMN kind VARCHAR(32) NOT NULL DEFAULT 'outage',
  ADD COLUMN step_ms BIGINT,
  DROP KEY events_named,
  ADD UNIQUE KEY events_named (site_id, started_at, kind),
  DROP KEY events_open,
  ADD UNIQUE KEY events_open (open_site, kind),
  DROP CONSTRAINT events_state,
  ADD CONSTRAINT events_state CHECK (state = 'closed' OR IF(kind = 'outage', state IN ('seems_down', 'down'), state = 'warning'));

ALTER TABLE event_transitions ADD COLUMN step_ms BIGINT;
)sql";

// How fast sites answered: of 128 neighbours in one row, written once an hour. What was kept of each site alone is read no more; its
// table stays, because DROP is no right that we ask for.
constexpr const char* kResponsePages = R"sql(
CREATE TABLE IF NOT EXISTS response_pages (
  width_ms   INT NOT NULL,
  started_at BIGINT NOT NULL,
  page       BIGINT NOT NULL,
  node       VARCHAR(64) NOT NULL,
  token      BIGINT NOT NULL,
  counts     MEDIUMTEXT CHARACTER SET ascii NOT NULL,
  PRIMARY KEY (width_ms, started_at, page, node),
  CONSTRAINT response_pages_width CHECK (width_ms IN (3600000, 86400000))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
)sql";

}  // namespace

const std::vector<SchemaStep>& mysql_steps() {
  static const std::vector<SchemaStep> steps{
      {1, "sites, their state and certificates, events and transitions", kFirstSchema},
      {2, "edits by other programs are seen", kForeignEdits},
      {3, "faults of the vantage, and outages that are one", kVantage},
      {4, "a site list that comes from another program's table", kSiteOrigin},
      {5, "groups of outages are found by their end", kGroupEnds},
      {6, "many hosts: nodes, and leases of buckets of sites", kManyHosts},
      {7, "what has to be told: notices, deliveries, dead letters", kDeliveries},
      {8, "a site with another URL is unknown, whatever is open", kOtherUrl},
      {9, "what other vantages saw", kWitnesses},
      {10, "when nobody knew how a site was", kGaps},
      {11, "maintenance windows", kMaintenance},
      {12, "how fast sites answered, and how far back history goes", kResponses},
      {13, "what people do to an event", kByHand},
      {14, "which targets somebody has configured", kSeenTargets},
      {15, "sites that depend on others", kParents},
      {16, "a request that is sent twice is one", kRequestKeys},
      {17, "what waits of a site is found", kWakesOfSites},
      {18, "warnings, as events of their own kinds", kWarnings},
      {19, "response times of many sites in a row", kResponsePages},
  };
  return steps;
}

}  // namespace watchwheel::db
