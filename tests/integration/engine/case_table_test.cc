// SPDX-License-Identifier: Apache-2.0
// Every case of tests/cases through the built daemon, as a user has it: a site list is imported, the daemon runs, and what the
// commands then say of each site has to be what the case says.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "cases/check_case.h"
#include "core/event_kind.h"
#include "daemon.h"
#include "support/child_process.h"
#include "support/eventually.h"
#include "support/slow_build.h"
#include "support/temp_dir.h"

namespace watchwheel::testing {
namespace {

using core::EventKind;
using core::Outcome;
using nlohmann::json;
using namespace std::chrono_literals;

// Seldom enough that a sanitized daemon keeps up.
constexpr std::chrono::seconds kInterval{kSlowness == 1 ? 4 : 10};

// All areas' servers, alive at once, and what is asked of them. A site's id is its place in the list, from 1.
struct Table {
  std::vector<std::unique_ptr<CaseArea>> areas;
  std::vector<CheckCase> cases;
  std::size_t left_out = 0;

  Table() {
    for (const NamedArea& area : case_areas()) {
      areas.push_back(area.make());
      for (CheckCase& one : areas.back()->cases()) {
        if (one.not_through_daemon.empty()) {
          cases.push_back(std::move(one));
        } else {
          ++left_out;
        }
      }
    }
  }
};

std::string as_json_line(const CheckCase& one, std::size_t id) {
  json site{{"id", id}, {"url", one.url}, {"name", one.name}};
  for (const auto& [name, text] : one.options) site[name] = text;
  const auto options = core::merge_options(case_defaults(), one.options);
  const auto timeout =
      options ? std::chrono::ceil<std::chrono::seconds>(options->timeout) : kInterval;
  site["interval"] = std::to_string(std::max(kInterval, timeout).count()) + "s";
  return site.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

// The daemon with its files, and its commands.
class TableDaemon : core::Pinned {
 public:
  explicit TableDaemon(const Table& table) {
    const core::CheckOptions defaults = case_defaults();
    const auto ms = [](core::Duration d) {
      return std::to_string(core::duration_cast<std::chrono::milliseconds>(d).count()) + "ms";
    };
    // One failure is an outage; whoever names no resolver has none.
    dir_.write("watchwheel.toml",
               "[store]\nurl = \"sqlite://" + dir_.file("watchwheel.db") +
                   "\"\n[checks]\ninterval = \"1m\"\ntimeout = \"" + ms(defaults.timeout) +
                   "\"\nconnect_timeout = \"" + ms(defaults.connect_timeout) +
                   "\"\nresolvers = [\"127.0.0.1:1\"]\n[confirm]\nfailures = 1\nretry_interval = "
                   "\"1s\"\n[vantage]\nfailure_share = 1.0\n[http]\nlisten = \"127.0.0.1:" +
                   std::to_string(free_port()) + "\"\n");
    std::string lines;
    for (std::size_t i = 0; i < table.cases.size(); ++i)
      lines += as_json_line(table.cases[i], i + 1);
    dir_.write("sites.jsonl", lines);
  }

  // line -> why: what the import refused.
  [[nodiscard]] std::map<std::size_t, std::string> import_sites() const {
    const std::string file = dir_.file("sites.jsonl");
    const Finished done = command({"sites", "import", file});
    std::map<std::size_t, std::string> refused;
    std::istringstream problems(done.err);
    for (std::string line; std::getline(problems, line);) {
      if (line.starts_with(file + ":")) refused[std::stoul(line.substr(file.size() + 1))] = line;
    }
    EXPECT_EQ(done.status, refused.empty() ? 0 : 1) << done.out << done.err;
    return refused;
  }

  void start() {
    process_ = std::make_unique<ChildProcess>(std::vector<std::string>{
        "setpriv", "--pdeathsig", "KILL", watchwheel_binary(), "run", "--config",
        dir_.file("watchwheel.toml")});
  }
  [[nodiscard]] int stop() {
    process_->signal(SIGTERM);
    return process_->wait(60s * kPatience).value_or(-1);
  }
  [[nodiscard]] std::string log() const { return process_->err(); }

  // id -> what `sites list` says.
  [[nodiscard]] std::map<std::size_t, json> sites() const {
    std::map<std::size_t, json> all;
    std::istringstream lines(command({"sites", "list", "--json"}).out);
    for (std::string line; std::getline(lines, line);) {
      json site = json::parse(line);
      const auto id = site.at("id").get<std::size_t>();
      all[id] = std::move(site);
    }
    return all;
  }
  // id -> its incidents, newest first.
  [[nodiscard]] std::map<std::size_t, std::vector<json>> incidents() const {
    std::map<std::size_t, std::vector<json>> all;
    const json list = json::parse(command({"incidents", "--json", "--limit", "0"}).out);
    for (const json& incident : list.at("incidents"))
      all[incident.at("site").get<std::size_t>()].push_back(incident);
    return all;
  }
  // Checks that have ended; 0 while nobody answers, or a daemon that waits for what it needs to begin.
  [[nodiscard]] std::uint64_t checks_done() const {
    const Finished done = command({"status", "--json"});
    if (done.status != 0) return 0;
    const json status = json::parse(done.out);
    if (!status.contains("checks")) return 0;
    const json& checks = status.at("checks");
    return checks.at("up").get<std::uint64_t>() + checks.at("down").get<std::uint64_t>() +
           checks.at("not_measured").get<std::uint64_t>();
  }

 private:
  [[nodiscard]] Finished command(std::vector<std::string> words) const {
    words.insert(words.begin(), watchwheel_binary());
    words.insert(words.end(), {"--config", dir_.file("watchwheel.toml")});
    return run_program(words);
  }

  TempDir dir_;
  std::unique_ptr<ChildProcess> process_;
};

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// What the daemon had no time to look at, also for so long that the last answer is too old, says nothing of the case: it will be
// asked again.
bool is_told(const CheckCase& one, const json& site) {
  const std::string state = text_of(site.at("state"));
  const auto cause = core::parse_cause(text_of(site.at("cause")));
  if (cause && is_our_haste(one, *cause)) return false;
  if (cause && state == "unknown" && core::outcome_of(*cause) != Outcome::NotMeasured) return false;
  return state == "up" || state == "down" || (state == "unknown" && !site.at("cause").is_null());
}

// One piece of evidence against the case; "" when it fits.
std::string misfit(const CheckCase& one, const json& evidence) {
  const bool fits = evidence.at("cause") == to_string(one.cause) &&
                    evidence.at("phase") == to_string(one.phase) &&
                    (one.http_status == 0 || evidence.at("http_status") == one.http_status) &&
                    text_of(evidence.at("detail")).find(one.detail) != std::string::npos;
  if (fits) return "";
  return "evidence " + text_of(evidence.at("cause")) + " at " + text_of(evidence.at("phase")) +
         ", status " + evidence.at("http_status").dump() + ", detail \"" +
         text_of(evidence.at("detail")) + "\"";
}

std::string told_wrongly_of_down(const CheckCase& one, const json& site,
                                 const std::vector<json>& incidents) {
  if (incidents.size() != 1 || site.at("state") != "down") {
    return std::to_string(incidents.size()) + " incidents, state " + text_of(site.at("state")) +
           ", cause " + text_of(site.at("cause"));
  }
  std::string wrong = misfit(one, incidents[0]);
  for (const json& transition : incidents[0].at("transitions"))
    if (wrong.empty()) wrong = misfit(one, transition);
  return wrong;
}

bool warns_of(const CheckCase& one, const std::string& kind) {
  const auto& warnings = one.warnings;
  return std::any_of(core::kWarningKinds.begin(), core::kWarningKinds.end(), [&](const auto& each) {
    return core::to_string(each.kind) == kind &&
           std::find(warnings.begin(), warnings.end(), each.warning) != warnings.end();
  });
}

// What is seen in each answer is an event of its own; that a certificate ends in so many days may be none yet.
bool is_warned_of(const CheckCase& one, const std::vector<json>& incidents) {
  for (const EventKind kind : {EventKind::TlsDeprecated, EventKind::RedirectDowngrade}) {
    const std::string name(core::to_string(kind));
    if (outcome_of(one.cause) == Outcome::Up && warns_of(one, name) &&
        std::none_of(incidents.begin(), incidents.end(),
                     [&](const json& each) { return each.at("kind") == name; }))
      return false;
  }
  return true;
}

// What the daemon's user is told of a site that the case does not say; "" when it is right.
std::string told_wrongly(const CheckCase& one, const json& site,
                         const std::vector<json>& all) {
  const Outcome outcome = outcome_of(one.cause);
  std::vector<json> incidents;  // Outages.
  for (const json& each : all) {
    if (each.at("kind") == "outage") {
      incidents.push_back(each);
    } else if (!warns_of(one, each.at("kind"))) {
      return "a warning: " + each.dump();
    }
  }
  if (outcome == Outcome::Down) return told_wrongly_of_down(one, site, incidents);
  if (!incidents.empty())
    return "an incident: " + misfit(one, incidents[0].at("transitions").at(0));
  const std::string state = outcome == Outcome::Up ? "up" : "unknown";
  if (site.at("state") == state && site.at("cause") == to_string(one.cause)) return "";
  return "state " + text_of(site.at("state")) + ", cause " + text_of(site.at("cause"));
}

// Goal: what a user is told of each case is right: the cause, phase and detail of its outage and no other, no outage of what is
// healthy, and nothing but our own trouble where we could not look. Method: one failing check is an outage; every site is asked
// several times, so an answer that changes shows as a second incident or as other evidence.
TEST(DaemonCaseTable, TellsOfEveryCaseWhatIsRight) {
  const Table table;
  const std::size_t count = table.cases.size();
  EXPECT_LT(table.left_out * 20, count + table.left_out) << "too many do not go through the daemon";
  TableDaemon daemon(table);

  // What cannot be a site is refused at the door.
  const std::map<std::size_t, std::string> refused = daemon.import_sites();
  for (const auto& [line, why] : refused) {
    const CheckCase& one = table.cases.at(line - 1);
    if (one.cause != core::Cause::TargetInvalid)
      ADD_FAILURE() << one.name << ": expected " << describe(one) << "; refused: " << why;
  }

  ASSERT_EQ(daemon.sites().size() + refused.size(), count);

  daemon.start();
  EXPECT_TRUE(eventually([&] { return daemon.checks_done() >= 3 * count; }, 60s)) << daemon.log();
  std::map<std::size_t, json> sites;  // As of one moment, at which all are told.
  const auto untold = [&] {
    sites = daemon.sites();
    std::string names;
    for (const auto& [id, site] : sites) {
      const CheckCase& one = table.cases.at(id - 1);
      if (!is_told(one, site)) names += " " + one.name;
    }
    return names;
  };
  EXPECT_TRUE(eventually([&] { return untold().empty(); }, 60s))
      << "nothing is told of:" << untold() << "\n"
      << daemon.log();
  const auto unwarned = [&] {
    auto incidents = daemon.incidents();
    std::string names;
    for (const auto& [id, site] : sites) {
      const CheckCase& one = table.cases.at(id - 1);
      if (!is_warned_of(one, incidents[id])) names += " " + one.name;
    }
    return names;
  };
  EXPECT_TRUE(eventually([&] { return unwarned().empty(); }, 60s))
      << "nobody is warned of:" << unwarned();
  EXPECT_EQ(daemon.stop(), 0) << daemon.log();

  const auto incidents = daemon.incidents();
  for (const auto& [id, site] : sites) {
    const CheckCase& one = table.cases.at(id - 1);
    if (!is_told(one, site)) continue;  // A failure above.
    const auto of_site = incidents.find(id);
    const std::string wrong =
        told_wrongly(one, site, of_site == incidents.end() ? std::vector<json>{} : of_site->second);
    if (!wrong.empty())
      ADD_FAILURE() << one.name << ": expected " << describe(one) << "; " << wrong;
  }
  std::printf("%zu cases through the daemon, %zu of them refused at import; %zu left out\n", count,
              refused.size(), table.left_out);
}

}  // namespace
}  // namespace watchwheel::testing
