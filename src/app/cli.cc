// SPDX-License-Identifier: Apache-2.0
// The only file that sees CLI11. Each command is bound in a function of its own: its options into its arguments, and what runs it.
#include "app/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <functional>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <utility>

#include "app/commands_check.h"
#include "app/commands_config.h"
#include "app/commands_deliveries.h"
#include "app/commands_import.h"
#include "app/commands_incidents.h"
#include "app/commands_legacy.h"
#include "app/commands_maintenance.h"
#include "app/commands_nodes.h"
#include "app/commands_notify.h"
#include "app/commands_operator.h"
#include "app/commands_report.h"
#include "app/commands_sites.h"
#include "app/commands_status.h"
#include "app/run_command.h"
#include "app/site_fields.h"
#include "app/verifier_command.h"
#include "app/version.h"
#include "core/check_options.h"

namespace watchwheel::app {
namespace {

constexpr std::string_view kConfigHelp =
    "configuration file (default: /etc/watchwheel/watchwheel.toml, or the defaults where there is "
    "none)";

std::string_view option_help(std::string_view name) {
  static const std::map<std::string_view, std::string_view> help{
      {"method", "HTTP method: GET, HEAD, POST …"},
      {"header", "request header 'Name: value'; repeatable"},
      {"body", "request body, for methods that carry one"},
      {"expect_status", "status codes that count as up, like 200-399,404"},
      {"keyword", "text that the answer must contain; repeatable"},
      {"forbidden", "text that the answer must not contain; repeatable"},
      {"ignore_case", "true or false: whether a and A are the same in --keyword and --forbidden"},
      {"body_match", "regular expression (RE2) that the answer must match; repeatable"},
      {"body_not_match", "regular expression (RE2) that it must not match; repeatable"},
      {"json_equals", "'/pointer == value' that the answer's JSON must hold; repeatable"},
      {"expect_header",
       "'Name', '!Name', 'Name: value' or 'Name ~ expression' for a response header; repeatable"},
      {"size_min", "least bytes of the answer, like 1KiB"},
      {"size_max", "most bytes of the answer, like 500KiB"},
      {"redirects", "follow, none or same-host"},
      {"max_redirects", "redirects followed at most, 0 to 50"},
      {"timeout", "for the whole check, like 10s"},
      {"connect_timeout", "for making the connection, like 5s"},
      {"max_body", "bytes of the answer that are read, like 1MiB"},
      {"http_version", "1.0, 1.1, or 2 where the server agrees"},
      {"exchange", "auto, or curl: libcurl also for what we can ask ourselves"},
      {"auth_user", "user for basic authentication"},
      {"auth_password_file",
       "file with the password: a path with '/', or the name of a systemd credential"},
      {"bearer_token_file", "file with a bearer token, likewise"},
      {"tls_verify", "true or false: whether the certificate must be right"},
      {"tls_min", "lowest TLS version: 1.0, 1.1, 1.2 or 1.3"},
      {"ca_file", "PEM file of the only authorities trusted"},
      {"client_cert_file", "PEM file of our certificate, for servers that ask for one; likewise"},
      {"client_key_file", "PEM file of its key, where that is not in the same file"},
      {"resolver", "name server as IP or IP:PORT; repeatable"},
      {"ip", "any, 4 or 6"},
      {"allow",
       "block of addresses that may be asked although they are not public, like 10.0.0.0/8; "
       "repeatable"},
      {"allow_private", "let this site be at a private or loopback address"},
      {"detect_error_pages",
       "true or false: whether a page that only says there is an error counts as down"},
      {"latency_warning", "warn when a check takes longer, like 2s"},
      {"user_agent", "User-Agent header to send"},
      {"priority", "high, normal or low: who stays on time when the daemon has too much to do"},
  };
  const auto found = help.find(name);
  return found == help.end() ? "" : found->second;
}

std::string dashed(std::string_view name) {
  std::string text = "--" + std::string(name);
  std::replace(text.begin(), text.end(), '_', '-');
  return text;
}

// What was given on the command line for columns of a site, waiting to be read out after parsing.
class FieldOptions {
 public:
  void add_check_options(CLI::App& app) {
    for (const std::string_view name : core::option_names())
      add(app, name, dashed(name), std::string(option_help(name)), is_repeatable(name),
          name == "allow_private");
  }
  void add_site_options(CLI::App& app) {
    add(app, "interval", "--interval", "time between checks, like 60s or 5m", false, false);
    add(app, "name", "--name", "a name for people", false, false);
    add(app, "tags", "--tag", "a tag; repeatable", true, false);
    add(app, kParentsColumn, "--parent",
        "the id or URL of a site that it depends on: while that is down nobody is told of this "
        "one; repeatable",
        true, false);
    add_check_options(app);
  }
  void add_url(CLI::App& app) {
    add(app, "url", "--url", "another URL for the site", false, false);
  }

  [[nodiscard]] Fields given() const {
    Fields fields;
    for (const Given& one : given_) {
      if (one.option->count() == 0) continue;
      std::string text;
      for (const std::string& value : one.values) text += (text.empty() ? "" : "\n") + value;
      if (is_path(one.column, text))
        text = std::filesystem::absolute(text).lexically_normal().string();
      fields.emplace_back(one.column, std::move(text));
    }
    return fields;
  }

 private:
  // A shell user names a file from where they stand; a secret's name without '/' is a credential's.
  static bool is_path(std::string_view column, const std::string& text) {
    if (text.empty() || !column.ends_with("_file")) return false;
    return column == "ca_file" || text.find('/') != std::string::npos;
  }

  struct Given {
    std::string column;
    std::vector<std::string> values;
    CLI::Option* option = nullptr;
  };

  void add(CLI::App& app, std::string_view column, const std::string& flag, const std::string& help,
           bool repeatable, bool is_switch) {
    Given& one = given_.emplace_back();
    one.column = column;
    if (is_switch) {  // --allow-private, or --allow-private=false to take it back.
      one.option = app.add_flag(flag, one.values.emplace_back(), help);
    } else if (repeatable) {
      one.option = app.add_option(flag, one.values, help)->expected(1)->take_all();
    } else {
      one.option = app.add_option(flag, one.values.emplace_back(), help);
    }
  }

  std::list<Given> given_;  // A list: CLI11 keeps the addresses.
};

class CommandLine {
 public:
  explicit CommandLine(Io& io) : io_(io) {
    app_.require_subcommand(0, 1);
    app_.set_version_flag("--version", version_text());
    run();
    validate();
    check();
    sites();
    incidents();
    report();
    deliveries();
    maintenance();
    legacy();
    nodes();
    migrate();
    status();
    verifier();
  }

  int parse_and_run(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::Success& asked) {  // --help, --version
      app_.exit(asked, io_.out, io_.err);
      return kExitOk;
    } catch (const CLI::ParseError& error) {
      return fail(
          io_, kExitUsage,
          std::string(error.what()) + "; see `watchwheel " + command_given(argc, argv) + "--help`");
    }
    if (!chosen_) {
      io_.err << app_.help();
      return kExitUsage;
    }
    return chosen_();
  }

  [[nodiscard]] std::vector<CommandNames> names() {
    std::vector<CommandNames> all;
    collect(app_, "", all);
    return all;
  }

 private:
  // "sites import ", for the hint where help is to be had.
  std::string command_given(int argc, const char* const* argv) {
    std::string text;
    CLI::App* at = &app_;
    for (int i = 1; i < argc && at != nullptr; ++i) {
      const auto subs =
          at->get_subcommands([&](CLI::App* sub) { return sub->get_name() == argv[i]; });
      at = subs.empty() ? nullptr : subs.front();
      if (at != nullptr) text += at->get_name() + " ";
    }
    return text;
  }

  static void collect(CLI::App& app, const std::string& prefix, std::vector<CommandNames>& all) {
    for (CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; })) {
      const std::string name = prefix + sub->get_name();
      if (!sub->get_subcommands([](CLI::App*) { return true; }).empty()) {
        collect(*sub, name + " ", all);
        if (sub->get_require_subcommand_min() > 0) continue;
      }
      CommandNames& names = all.emplace_back();
      names.command = name;
      for (const CLI::Option* option : sub->get_options()) {
        for (const std::string& flag : option->get_lnames()) names.options.push_back("--" + flag);
      }
    }
  }

  // A subcommand with arguments of type Args; `command` runs it when it was chosen. Of one and its own subcommand the latter is
  // heard first, and is meant.
  template <typename Args>
  CLI::App& add(CLI::App& parent, const std::string& name, const std::string& help,
                std::shared_ptr<Args> args, int (*command)(const Args&, Io&)) {
    CLI::App& app = *parent.add_subcommand(name, help);
    app.callback([this, args, command] {
      if (!chosen_) chosen_ = [this, args, command] { return command(*args, io_); };
    });
    return app;
  }

  static void add_config(CLI::App& app, std::string& into) {
    app.add_option("--config", into, std::string(kConfigHelp))
        ->check(CLI::Validator(nonempty, "FILE"));
  }
  static void add_quiet(CLI::App& app, bool& into) {
    app.add_flag("-q,--quiet", into, "no progress bar");
  }
  static std::string nonempty(std::string& text) {
    return text.empty() ? "a file name is needed" : "";
  }

  void run() {
    auto args = std::make_shared<RunOptions>();
    CLI::App& app = *app_.add_subcommand(
        "run", "run the daemon in the foreground; SIGTERM drains and stops, SIGHUP reloads");
    app.add_option("--config", args->config_path, "configuration file")->required();
    app.callback([this, args] { chosen_ = [args] { return run_daemon(*args); }; });
  }

  void verifier() {
    auto args = std::make_shared<VerifierArgs>();
    CLI::App& app = *app_.add_subcommand(
        "verifier", "be a second vantage point in the foreground: checks on request, owns no sites");
    app.add_option("--config", args->config_path, "configuration file")->required();
    app.callback([this, args] { chosen_ = [args] { return run_verifier(*args); }; });
  }

  void validate() {
    auto args = std::make_shared<ValidateArgs>();
    CLI::App& app = add(app_, "validate-config",
                        "say what is wrong in a configuration file, and which values are in force",
                        args, validate_config);
    app.add_option("FILE", args->file, "the file")->required();
    app.add_flag("--json", args->json, "one JSON document");
  }

  void check() {
    auto args = std::make_shared<CheckArgs>();
    auto fields = std::make_shared<FieldOptions>();
    CLI::App& app = *app_.add_subcommand(
        "check", "check one URL now, without a store: exit 0 up, 1 down, 3 not measured");
    app.add_option("URL", args->url, "what to check")->required();
    fields->add_check_options(app);
    add_config(app, args->config);
    app.add_flag("--json", args->json, "one JSON document");
    app.add_flag("-v,--verbose", args->verbose, "the header lines that were sent and received too");
    app.callback([this, args, fields] {
      args->options = fields->given();
      std::sort(args->options.begin(), args->options.end());
      chosen_ = [this, args] { return check_once(*args, io_); };
    });
  }

  void sites() {
    CLI::App& sites = *app_.add_subcommand("sites", "the site list in the configured store");
    sites.require_subcommand(1);
    sites_import(sites);
    sites_list(sites);
    sites_add(sites);
    sites_set(sites);
    sites_act(sites, "pause", "stop checking sites, and keep them", SiteAction::Pause);
    sites_act(sites, "resume", "check paused sites again", SiteAction::Resume);
    sites_act(sites, "remove", "forget sites; their incidents stay", SiteAction::Remove);
    sites_export(sites);
  }

  static std::map<std::string, ListFormat> formats() {
    return {{"csv", ListFormat::Csv}, {"jsonl", ListFormat::Jsonl}};
  }

  void sites_import(CLI::App& sites) {
    auto args = std::make_shared<ImportArgs>();
    CLI::App& app = add(sites, "import",
                        "add and change sites from a list; a bad line does not hold up the others",
                        args, import_sites);
    app.add_option("FILE", args->file,
                   "CSV with a header, JSON lines, or another monitor's list; - for standard input")
        ->required();
    app.add_option("--format", args->format,
                   "csv or jsonl (default: by the name of the file), blackbox, gatus or uptime-kuma")
        ->check(CLI::IsMember({"csv", "jsonl", "blackbox", "gatus", "uptime-kuma"}));
    app.add_option("--modules", args->modules,
                   "with --format blackbox: the exporter's own configuration, which has its modules");
    app.add_flag("--strict", args->strict, "write nothing when one line is bad");
    app.add_flag("--dry-run", args->dry_run, "judge the list and write nothing");
    add_quiet(app, args->quiet);
    add_config(app, args->config);
  }

  void sites_list(CLI::App& sites) {
    auto args = std::make_shared<ListArgs>();
    CLI::App& app = add(sites, "list", "the sites, with what is known of them", args, list_sites);
    app.add_flag("--json", args->json, "one JSON document a line");
    app.add_option("--tag", args->tag, "only sites with this tag");
    app.add_option("--state", args->state,
                   "only up, seems_down, down, unknown, maintenance or paused ones");
    app.add_option("--limit", args->limit, "at most so many (default: all)")
        ->check(CLI::PositiveNumber);
    add_quiet(app, args->quiet);
    add_config(app, args->config);
  }

  void sites_add(CLI::App& sites) {
    auto args = std::make_shared<AddArgs>();
    auto fields = std::make_shared<FieldOptions>();
    CLI::App& app = *sites.add_subcommand("add", "add one site");
    app.add_option("URL", args->url, "its URL")->required();
    fields->add_site_options(app);
    add_config(app, args->config);
    app.callback([this, args, fields] {
      args->fields = fields->given();
      chosen_ = [this, args] { return add_site(*args, io_); };
    });
  }

  void sites_set(CLI::App& sites) {
    auto args = std::make_shared<SetArgs>();
    auto fields = std::make_shared<FieldOptions>();
    auto unset = std::make_shared<std::vector<std::string>>();
    CLI::App& app = *sites.add_subcommand("set", "change one site");
    app.add_option("SITE", args->which, "its id or URL")->required();
    fields->add_url(app);
    fields->add_site_options(app);
    app.add_option(
           "--unset", *unset,
           "take the site's own value of an option away, so that the default holds; repeatable")
        ->expected(1)
        ->take_all()
        ->check(CLI::Validator(unsettable, "OPTION"));
    add_config(app, args->config);
    app.callback([this, args, fields, unset] {
      args->fields = fields->given();
      for (const std::string& name : *unset) args->fields.emplace_back(column_of(name), "");
      chosen_ = [this, args] { return set_site(*args, io_); };
    });
  }

  // "expect-status", "--expect-status" or "expect_status" to the column.
  static std::string column_of(std::string name) {
    name.erase(0, name.find_first_not_of('-'));
    std::replace(name.begin(), name.end(), '-', '_');
    if (name == "parent") return std::string(kParentsColumn);
    return name == "tag" ? "tags" : name;
  }

  static std::string unsettable(std::string& text) {
    const std::string column = column_of(text);
    const auto& columns = site_columns();
    const bool known = std::find(columns.begin(), columns.end(), column) != columns.end();
    if (known && column != "id" && column != "url" && column != "active") return "";
    return "'" + printable(text, 40) + "' is no option that could be taken away";
  }

  void sites_act(CLI::App& sites, const std::string& name, const std::string& help,
                 SiteAction action) {
    auto args = std::make_shared<ActionArgs>();
    args->action = action;
    CLI::App& app = add(sites, name, help, args, act_on_sites);
    app.add_option("SITE", args->which, "ids or URLs")->required();
    add_config(app, args->config);
  }

  void sites_export(CLI::App& sites) {
    auto args = std::make_shared<ExportArgs>();
    CLI::App& app = add(sites, "export", "write the whole list, so that import reads it back", args,
                        export_sites);
    app.add_option("--format", args->format, "csv (default) or jsonl")
        ->transform(CLI::CheckedTransformer(formats()));
    add_quiet(app, args->quiet);
    add_config(app, args->config);
  }

  void incidents() {
    auto args = std::make_shared<IncidentsArgs>();
    CLI::App& app =
        add(app_, "incidents", "events and their transitions, newest first", args, show_incidents);
    app.add_flag("--open", args->open, "only those that are not over");
    app.add_option("--site", args->site, "only of the site with this id")
        ->check(CLI::PositiveNumber);
    app.add_option("--kind", args->kind,
                   "only of this kind: outage, tls_expiring, tls_deprecated, latency_exceeded, "
                   "redirect_downgrade");
    app.add_option("--group", args->group, "only those of the mass outage with this number")
        ->check(CLI::PositiveNumber);
    app.add_option("--since", args->since,
                   "only what was open at or after a time (2026-11-20T12:00:00Z, 2026-11-20), or "
                   "in the last 2h, 7d …");
    app.add_option("--limit", args->limit, "at most so many; 0 for all (default: 100)");
    app.add_flag("--json", args->json, "one JSON document");
    add_config(app, args->config);
    app.require_subcommand(0, 1);
    add_act(app, sideeffects::Act::Ack, "somebody is on it: nobody is reminded any more");
    add_act(app, sideeffects::Act::Comment, "say something about it, for those who look at it");
    add_act(app, sideeffects::Act::Close,
            "it is over, whatever its site does; what fails later is an incident of its own");
  }

  void add_act(CLI::App& incidents, sideeffects::Act act, const std::string& what) {
    auto args = std::make_shared<OperatorArgs>();
    args->act = act;
    CLI::App& app =
        add(incidents, std::string(sideeffects::to_string(act)), what, args, act_on_incident);
    app.add_option("ID", args->event, "of one that is open")
        ->required()
        ->check(CLI::PositiveNumber);
    if (act == sideeffects::Act::Comment) {
      app.add_option("TEXT", args->why, "what is to be said, at most 1000 bytes")->required();
    } else {
      auto* const why = app.add_option("--why", args->why, "in a few words, at most 1000 bytes");
      if (act == sideeffects::Act::Close) why->required();
    }
    app.add_option("--by", args->by, "in whose name (default: who runs this command)");
    app.add_option("--wait", args->wait,
                   "how long to wait for the daemon that does it (default: 10s)");
    add_config(app, args->config);
  }

  void report() {
    auto args = std::make_shared<ReportArgs>();
    CLI::App& app =
        add(app_, "report", "uptime and downtime in a window of time", args, show_report);
    app.add_option("--site", args->site, "only of the site with this id")
        ->check(CLI::PositiveNumber);
    app.add_option("--tag", args->tag, "only of the sites with this tag");
    app.add_option("--since", args->since,
                   "from a time on (2026-11-20T12:00:00Z, 2026-11-20), or the last 2h, 7d … "
                   "(default: 30d)");
    app.add_option("--until", args->until, "up to a time, written like --since (default: now)");
    app.add_flag("--by-tag", args->by_tag, "a line for each tag instead of each site");
    app.add_flag("--minutes", args->minutes,
                 "only how fast all sites together answered, minute by minute");
    auto* const json = app.add_flag("--json", args->json, "one JSON document");
    app.add_flag("--csv", args->csv, "CSV with a header")->excludes(json);
    add_config(app, args->config);
  }

  void deliveries() {
    auto args = std::make_shared<DeliveriesArgs>();
    CLI::App& app = add(app_, "deliveries", "what is still to be told, and what was given up", args,
                        show_deliveries);
    app.require_subcommand(0, 1);
    app.add_option("--id", args->id, "only this one, with its attempts and what it says")
        ->check(CLI::PositiveNumber);
    app.add_flag("--dead", args->dead, "those that were given up");
    app.add_option("--target", args->target, "only those to this target");
    app.add_option("--reason", args->reason,
                   "with --dead: only those that were given up for it (max_attempts, permanent, gone, "
                   "poison, no_target, operator, too_old)");
    app.add_option("--limit", args->limit, "at most so many; 0 for all (default: 100)");
    app.add_flag("--json", args->json, "one JSON document");
    add_config(app, args->config);

    auto tried = std::make_shared<TestTargetArgs>();
    CLI::App& test = add(app, "test",
                         "send one message to one target now: exit 0 taken, 1 not, 3 not sent",
                         tried, test_target);
    test.add_option("TARGET", tried->target, "the name of a [[notify]]")->required();
    test.add_flag("--json", tried->json, "one JSON document");
    add_config(test, tried->config);

    auto again = std::make_shared<RequeueArgs>();
    CLI::App& requeued = add(app_, "requeue", "try dead letters again", again, requeue);
    requeued.add_option("ID", again->id, "of one dead letter")->check(CLI::PositiveNumber);
    requeued.add_flag("--all", again->all, "all of them, or those of --target and --reason");
    requeued.add_option("--target", again->target, "with --all: only those to this target");
    requeued.add_option("--reason", again->reason, "with --all: only those given up for it");
    requeued
        .add_option("--per-minute", again->per_minute,
                    "with --all: so many fall due each minute (default: 600)")
        ->check(CLI::Range(1, 60000));
    add_config(requeued, again->config);
  }

  void maintenance() {
    CLI::App& group =
        *app_.add_subcommand("maintenance", "when nobody is to be told of which sites");
    group.require_subcommand(1);
    auto args = std::make_shared<MaintenanceAddArgs>();
    CLI::App& app = add(group, "add",
                        "tell nobody of these sites for a while; checks go on, and what is still "
                        "down afterwards is told",
                        args, add_maintenance);
    app.add_option("--site", args->sites, "the site with this id; may be repeated")
        ->check(CLI::PositiveNumber)
        ->expected(1)
        ->take_all();
    app.add_option("--tag", args->tags, "sites with this tag; may be repeated")
        ->expected(1)
        ->take_all();
    app.add_flag("--all", args->all, "every site");
    app.add_option("--from", args->from, "from a time on, like 2026-11-20T22:00:00Z (default: now)");
    app.add_option("--until", args->until, "until a time");
    app.add_option("--for", args->length, "so long, like 2h");
    app.add_option("--days", args->days,
                   "again and again on these days: daily, or some of mon,tue,wed,thu,fri,sat,sun");
    app.add_option("--at", args->at, "with --days: at this time of day, like 02:30");
    app.add_option("--zone", args->zone,
                   "with --days: the place whose clocks count, like Europe/Berlin, or UTC");
    app.add_option("--title", args->title, "what it is for");
    add_config(app, args->config);

    auto shown = std::make_shared<MaintenanceListArgs>();
    CLI::App& list =
        add(group, "list", "maintenance windows, and which of them hold", shown, list_maintenance);
    list.add_flag("--all", shown->all, "those that are over too");
    list.add_flag("--json", shown->json, "one JSON document");
    add_config(list, shown->config);

    auto gone = std::make_shared<MaintenanceRemoveArgs>();
    CLI::App& removed =
        add(group, "remove", "forget a window; what it held back is told within a minute", gone,
            remove_maintenance);
    removed.add_option("ID", gone->id, "its number")->required()->check(CLI::PositiveNumber);
    add_config(removed, gone->config);
  }

  void legacy() {
    CLI::App& legacy = *app_.add_subcommand("legacy", "another program's table of sites ([legacy] of the configuration)");
    legacy.require_subcommand(1);
    auto diff = std::make_shared<LegacyDiffArgs>();
    CLI::App& app = add(legacy, "diff",
                        "where the table and what Watchwheel knows do not say the same: exit 0 same, "
                        "1 different, 3 could not tell",
                        diff, legacy_diff);
    app.add_option("--limit", diff->limit, "list at most so many; 0 for all (default: 20)");
    app.add_flag("--json", diff->json, "one JSON document");
    add_quiet(app, diff->quiet);
    add_config(app, diff->config);
    auto adopt = std::make_shared<LegacyListArgs>();
    add_config(add(legacy, "adopt",
                   "take the site list from the table although the store has sites of its own; those "
                   "without a row in it will be removed",
                   adopt, legacy_adopt),
               adopt->config);
    auto release = std::make_shared<LegacyListArgs>();
    add_config(add(legacy, "release", "keep the site list here from now on, as it stands", release,
                   legacy_release),
               release->config);
  }

  void nodes() {
    auto args = std::make_shared<NodesArgs>();
    CLI::App& app = add(app_, "nodes", "the hosts that share the store, and who checks what", args,
                        show_nodes);
    app.require_subcommand(0, 1);
    app.add_flag("--json", args->json, "one JSON document");
    app.add_flag("--buckets", args->buckets, "each bucket too");
    add_config(app, args->config);
    nodes_drain(app);
  }

  void nodes_drain(CLI::App& nodes) {
    auto args = std::make_shared<DrainArgs>();
    CLI::App& app = add(nodes, "drain", "let a node give its buckets to the others", args, drain_node);
    app.add_option("NODE", args->node, "its name (default: the one of the configuration)");
    app.add_flag("--cancel", args->cancel, "let it take buckets again");
    add_config(app, args->config);
  }

  void migrate() {
    auto args = std::make_shared<MigrateArgs>();
    CLI::App& app =
        add(app_, "migrate", "bring the store's schema to this version", args, migrate_store);
    app.add_flag("--dry-run", args->dry_run, "only say what would be done");
    app.add_flag("--json", args->json, "one JSON document");
    add_quiet(app, args->quiet);
    add_config(app, args->config);
  }

  void status() {
    auto args = std::make_shared<StatusArgs>();
    CLI::App& app = add(app_, "status", "what the running daemon is doing, from its HTTP endpoint",
                        args, show_status);
    app.add_flag("--json", args->json, "one JSON document; with --watch one a line");
    app.add_flag("--watch", args->watch,
                 "go on looking: a live page on a terminal (q ends it), a line each time elsewhere");
    app.add_option("--every", args->every, "with --watch: how often, like 2s (default)");
    app.add_option("--count", args->count, "with --watch: end after so many looks")
        ->check(CLI::PositiveNumber);
    add_config(app, args->config);
  }

  Io& io_;
  CLI::App app_{"Watchwheel: a streaming uptime monitor", "watchwheel"};
  std::function<int()> chosen_;
};

}  // namespace

int run_cli(int argc, const char* const* argv, Io& io) {
  int status = kExitTrouble;
  try {
    status = CommandLine(io).parse_and_run(argc, argv);
  } catch (const std::exception&
               error) {  // Out of memory, or a stream that throws: nothing else should.
    return fail(io, kExitTrouble, std::string("stopped: ") + error.what());
  }
  io.out.flush();
  if (!io.out)
    return fail(io, kExitTrouble,
                "the results could not be written to standard output; is the disk full?");
  return status;
}

int run_cli(int argc, const char* const* argv) {
  std::ios::sync_with_stdio(false);
  Io io{std::cin, std::cout, std::cerr};
  return run_cli(argc, argv, io);
}

std::vector<CommandNames> command_names() {
  std::ostream nowhere(nullptr);
  std::istream nothing(nullptr);
  Io io{nothing, nowhere, nowhere};
  return CommandLine(io).names();
}

}  // namespace watchwheel::app
