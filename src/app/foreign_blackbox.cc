// SPDX-License-Identifier: Apache-2.0
// Prometheus and its blackbox exporter: the targets are in the scrape configuration, statically or in files; how they are asked is
// in a module of the exporter's configuration.
#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "app/foreign_draft.h"

namespace watchwheel::app {
namespace {

// How one module asks, as the columns of a site; and what is to be said of each site that is asked so.
struct Module {
  bool is_http = true;
  std::string prober;
  struct Set {
    std::string column, text, key;
    std::uint32_t line = 0;
    bool more = false;
  };
  std::vector<Set> sets;
  enum class What : std::uint8_t { Warn, Pause };
  struct Say {
    What what = What::Warn;
    std::string key, message;
    std::uint32_t line = 0;
  };
  std::vector<Say> says;
};

class ModuleReader {
 public:
  explicit ModuleReader(const DocNode& node) : node_(node) {}

  Module read() {
    module_.prober = node_.text_at("prober");
    module_.is_http = module_.prober == "http";
    if (!module_.is_http) return std::move(module_);
    for (std::size_t i = 0; i < node_.keys.size(); ++i) {
      const auto& [name, line] = node_.keys[i];
      if (name == "timeout") {
        duration("timeout", node_.items[i]);
      } else if (name != "prober" && name != "http") {
        foreign(name, node_.items[i], line);
      }
    }
    const DocNode* http = node_.find("http");
    if (http == nullptr || http->find("valid_status_codes") == nullptr ||
        http->find("valid_status_codes")->items.empty())
      set("expect_status", "200-299", "valid_status_codes", node_.line);
    if (http == nullptr) return std::move(module_);
    for (std::size_t i = 0; i < http->keys.size(); ++i) {
      if (http->items[i].kind != DocNode::Kind::Null)
        key(*http, http->keys[i].first, http->items[i], http->keys[i].second);
    }
    return std::move(module_);
  }

 private:
  void set(std::string column, std::string text, std::string key, std::uint32_t line,
           bool more = false) {
    module_.sets.push_back({std::move(column), std::move(text), std::move(key), line, more});
  }
  void say(Module::What what, std::string key, std::uint32_t line, std::string message) {
    module_.says.push_back({what, std::move(key), std::move(message), line});
  }
  void foreign(const std::string& key, const DocNode& value, std::uint32_t line) {
    if (value.kind != DocNode::Kind::Null)
      say(Module::What::Warn, key, line, "has no counterpart here and is left out");
  }

  void duration(const std::string& column, const DocNode& value) {
    const auto parsed = parse_go_duration(value.text);
    if (parsed && *parsed > core::Duration::zero())
      set(column, our_duration(*parsed), column, value.line);
  }

  void each(const DocNode& list, const std::string& column, const std::string& key) {
    for (const DocNode& one : list.items) set(column, one.text, key, one.line, true);
  }

  void key(const DocNode& http, const std::string& name, const DocNode& value, std::uint32_t line) {
    if (name == "valid_status_codes") {
      std::string codes;
      for (const DocNode& one : value.items) codes += (codes.empty() ? "" : ",") + one.text;
      if (!codes.empty()) set("expect_status", codes, name, line);
    } else if (name == "method" || name == "body") {
      set(name, value.text, name, line);
    } else if (name == "headers") {
      for (std::size_t i = 0; i < value.keys.size(); ++i)
        set("header", value.keys[i].first + ": " + value.items[i].text, name, value.keys[i].second,
            true);
    } else if (name == "follow_redirects" || name == "no_follow_redirects") {
      if (value.is_true() == (name == "no_follow_redirects")) set("redirects", "none", name, line);
    } else if (name == "fail_if_body_matches_regexp") {
      each(value, "body_not_match", name);
    } else if (name == "fail_if_body_not_matches_regexp") {
      each(value, "body_match", name);
    } else if (name == "fail_if_header_not_matches") {
      header_matches(value, name);
    } else if (name == "tls_config") {
      tls(value);
    } else if (name == "basic_auth") {
      basic_auth(value, line);
    } else if (name == "authorization") {
      authorization(value, line);
    } else if (name == "bearer_token_file") {
      set("bearer_token_file", value.text, name, line);
    } else if (name == "bearer_token" || name == "oauth2") {
      say(Module::What::Pause, name, line,
          "a secret has no place in the list; put it in a file and give bearer_token_file");
    } else if (name == "preferred_ip_protocol") {
      const DocNode* fallback = http.find("ip_protocol_fallback");
      if (fallback != nullptr && !fallback->is_true())
        set("ip", value.text == "ip4" ? "4" : "6", name, line);
    } else if (name == "fail_if_ssl" || name == "fail_if_not_ssl") {
      if (value.is_true()) foreign(name, value, line);
    } else if (name != "ip_protocol_fallback") {
      foreign(name, value, line);
    }
  }

  void header_matches(const DocNode& list, const std::string& key) {
    for (const DocNode& one : list.items) {
      const DocNode* missing = one.find("allow_missing");
      if (missing != nullptr && missing->is_true()) {
        foreign(key, one, one.line);
      } else {
        set("expect_header", one.text_at("header") + " ~ " + one.text_at("regexp"), key, one.line,
            true);
      }
    }
  }

  void tls(const DocNode& value) {
    for (std::size_t i = 0; i < value.keys.size(); ++i) {
      const auto& [name, line] = value.keys[i];
      const std::string key = "tls_config." + name;
      const std::string& text = value.items[i].text;
      if (name == "insecure_skip_verify") {
        if (value.items[i].is_true()) set("tls_verify", "false", key, line);
      } else if (name == "ca_file") {
        set("ca_file", text, key, line);
      } else if (name == "cert_file") {
        set("client_cert_file", text, key, line);
      } else if (name == "key_file") {
        set("client_key_file", text, key, line);
      } else if (name == "min_version" && text.size() == 5 && text.starts_with("TLS1")) {
        set("tls_min", std::string("1.") + text[4], key, line);
      } else {
        foreign(key, value.items[i], line);
      }
    }
  }

  void basic_auth(const DocNode& value, std::uint32_t line) {
    const std::string file = value.text_at("password_file");
    if (file.empty())
      return say(Module::What::Pause, "basic_auth", line,
                 "a password has no place in the list; put it in a file and give auth_user and "
                 "auth_password_file");
    set("auth_user", value.text_at("username"), "basic_auth", line);
    set("auth_password_file", file, "basic_auth", line);
  }

  void authorization(const DocNode& value, std::uint32_t line) {
    const std::string file = value.text_at("credentials_file");
    const std::string type = value.text_at("type");
    if (file.empty() || (!type.empty() && type != "Bearer"))
      return say(Module::What::Pause, "authorization", line,
                 "a secret has no place in the list; put it in a file and give bearer_token_file");
    set("bearer_token_file", file, "authorization", line);
  }

  const DocNode& node_;
  Module module_;
};

// What holds for the targets of one job.
struct Job {
  std::string name;
  std::string module;
  std::optional<core::Duration> interval;
  std::optional<core::Duration> scrape_timeout;
};

class BlackboxReader {
 public:
  BlackboxReader(const ForeignSource& source, const ChecksConfig& defaults,
                 std::vector<SiteRow>& rows)
      : source_(source), defaults_(defaults), rows_(rows) {}

  void read(const DocNode& root) {
    if (!load_modules(root)) return;
    if (root.is_list()) return groups(root, Job{}, source_.file);
    const DocNode* jobs = root.find("scrape_configs");
    if (jobs == nullptr || !jobs->is_list()) {
      rows_.push_back(
          unreadable_row({source_.file, root.line, 0, Severity::Error,
                          "there is neither `scrape_configs` nor a list of targets; is this a "
                          "configuration of Prometheus, or a file of its file_sd?"}));
      return;
    }
    std::optional<core::Duration> interval;
    if (const DocNode* global = root.find("global"))
      interval = parse_go_duration(global->text_at("scrape_interval"));
    // What else Prometheus does (rules, alerting, storage) is not about sites.
    for (const DocNode& one : jobs->items) job(one, interval.value_or(std::chrono::minutes{1}));
  }

 private:
  void remark(std::uint32_t line, std::string_view key, std::string_view message) {
    rows_.push_back(note(source_.file, line, key, message));
  }

  // Of the file itself, and of the exporter's own.
  bool load_modules(const DocNode& root) {
    if (const DocNode* own = root.find("modules")) modules_ = *own;
    if (source_.modules.empty()) return true;
    auto text = read_file_text(source_.modules);
    if (!text) {
      rows_.push_back(unreadable_row({source_.modules, 0, 0, Severity::Error, "cannot be read"}));
      return false;
    }
    auto document = read_document(source_.modules, *std::move(text));
    if (auto* problem = std::get_if<Problem>(&document)) {
      rows_.push_back(unreadable_row(std::move(*problem)));
      return false;
    }
    const DocNode* modules = std::get<DocNode>(document).find("modules");
    if (modules == nullptr || !modules->is_map()) {
      rows_.push_back(
          unreadable_row({source_.modules, 0, 0, Severity::Error,
                          "there is no map `modules`; is this the exporter's configuration?"}));
      return false;
    }
    modules_ = *modules;
    return true;
  }

  void job(const DocNode& node, core::Duration interval) {
    Job job;
    job.name = node.text_at("job_name");
    if (node.text_at("metrics_path") != "/probe")
      return remark(
          node.line, "job_name",
          "'" + job.name + "' does not probe (its metrics_path is not /probe); it is left out");
    if (const DocNode* params = node.find("params")) {
      const DocNode* module = params->find("module");
      if (module != nullptr)
        job.module =
            module->is_list() && !module->items.empty() ? module->items[0].text : module->text;
    }
    job.interval = parse_go_duration(node.text_at("scrape_interval"));
    if (!job.interval) job.interval = interval;
    job.scrape_timeout = parse_go_duration(node.text_at("scrape_timeout"));
    for (std::size_t i = 0; i < node.keys.size(); ++i)
      job_key(node.keys[i].first, node.items[i], node.keys[i].second, job);
  }

  void job_key(const std::string& key, const DocNode& value, std::uint32_t line, const Job& job) {
    static const std::set<std::string_view> kKnown{"job_name",        "metrics_path",    "params",
                                                   "scrape_interval", "scrape_timeout",  "scheme",
                                                   "honor_labels",    "honor_timestamps"};
    if (key == "static_configs") {
      groups(value, job, source_.file);
    } else if (key == "file_sd_configs") {
      for (const DocNode& one : value.items) {
        if (const DocNode* files = one.find("files")) {
          for (const DocNode& file : files->items) target_files(file, job);
        }
      }
    } else if (key == "relabel_configs") {
      for (const DocNode& rule : value.items) {
        // The three that every probing job has.
        const std::string to = rule.text_at("target_label");
        if (to != "__param_target" && to != "instance" && to != "__address__")
          remark(rule.line, key, "this rule has no counterpart here and is left out");
      }
    } else if (key.ends_with("_sd_configs")) {
      remark(line, key, "targets found this way are not known here; they are left out");
    } else if (!kKnown.contains(key)) {
      remark(line, key, "has no counterpart here and is left out");
    }
  }

  void target_files(const DocNode& pattern, const Job& job) {
    namespace fs = std::filesystem;
    fs::path path(pattern.text);
    if (path.is_relative() && source_.file != "-")
      path = fs::path(source_.file).parent_path() / path;
    glob_t found{};
    const int status = ::glob(path.c_str(), 0, nullptr, &found);
    if (status != 0) remark(pattern.line, "files", "'" + pattern.text + "' finds no file");
    for (std::size_t i = 0; status == 0 && i < found.gl_pathc; ++i) {
      if (++files_ > kTargetFilesMax) {
        remark(pattern.line, "files", "more than 10,000 files of targets; the others are left out");
        break;
      }
      target_file(found.gl_pathv[i], job);
    }
    ::globfree(&found);
  }

  void target_file(const std::string& file, const Job& job) {
    auto text = read_file_text(file);
    if (!text) return rows_.push_back(note(file, 0, "files", "cannot be read"));
    auto document = read_document(file, *std::move(text));
    if (auto* problem = std::get_if<Problem>(&document)) {
      SiteRow row = unreadable_row(std::move(*problem));
      row.fatal = false;  // The other files go in; this counts as one that did not.
      return rows_.push_back(std::move(row));
    }
    groups(std::get<DocNode>(document), job, file);
  }

  void groups(const DocNode& list, const Job& job, const std::string& file) {
    for (const DocNode& group : list.items) {
      const DocNode* targets = group.find("targets");
      if (targets == nullptr || !targets->is_list()) {
        rows_.push_back(
            note(file, group.line, "targets", "there is no such list here; the group is left out"));
        continue;
      }
      for (const DocNode& target : targets->items) site(target, group, job, file);
    }
  }

  void site(const DocNode& target, const DocNode& group, const Job& job, const std::string& file) {
    SiteDraft draft(file, target.line);
    std::string module = job.module;
    std::string tags = job.name;
    if (const DocNode* labels = group.find("labels"); labels != nullptr && labels->is_map())
      read_labels(*labels, draft, tags, module);
    draft.set("tags", tags, "labels", group.line);
    // As the exporter does.
    const bool has_scheme = target.text.find("://") != std::string::npos;
    draft.set("url", has_scheme ? target.text : "http://" + target.text, "targets", target.line);
    if (job.interval)
      draft.set("interval", our_duration(*job.interval), "scrape_interval", target.line);
    if (job.scrape_timeout && *job.scrape_timeout > core::Duration::zero())
      draft.set("timeout", our_duration(*job.scrape_timeout), "scrape_timeout", target.line);
    apply_module(module.empty() ? "http_2xx" : module, draft, target.line);
    rows_.push_back(draft.finish(defaults_, duplicates_));
  }

  static void read_labels(const DocNode& labels, SiteDraft& draft, std::string& tags,
                          std::string& module) {
    for (std::size_t i = 0; i < labels.keys.size(); ++i) {
      const auto& [name, line] = labels.keys[i];
      const std::string& value = labels.items[i].text;
      const std::string tag = name + "=" + value;
      if (name == "__param_module" || name == "module") {
        module = value;
      } else if (name.starts_with("__") || tag.size() > 64 ||
                 tag.find_first_of(",\n") != std::string::npos) {
        draft.warn("labels." + name, line, "cannot be a tag and is left out");
      } else {
        tags += (tags.empty() ? "" : ",") + tag;
      }
    }
  }

  void apply_module(const std::string& name, SiteDraft& draft, std::uint32_t line) {
    const DocNode* node = modules_.find(name);
    if (node == nullptr) {
      // The one that every exporter has: any 2xx.
      draft.set("expect_status", "200-299", "module", line);
      if (name != "http_2xx" || modules_.is_map())
        draft.warn(
            "module", line,
            "'" + name + "' is not known" +
                (modules_.is_map() ? "" : "; give the exporter's configuration with --modules") +
                ": the site is asked as http_2xx would");
      return;
    }
    const Module module = ModuleReader(*node).read();
    if (!module.is_http)
      return draft.reject(
          "module", line,
          "'" + name + "' asks by " + module.prober + ", which is no HTTP check; it is left out");
    for (const Module::Set& one : module.sets) {
      const std::string key =
          one.key + " of module " + name + " at its line " + std::to_string(one.line);
      one.more ? draft.add(one.column, one.text, key, line)
               : draft.set(one.column, one.text, key, line);
    }
    for (const Module::Say& one : module.says) {
      const std::string key =
          one.key + " of module " + name + " at its line " + std::to_string(one.line);
      if (one.what == Module::What::Pause) {
        draft.pause(key, line, one.message);
      } else if (said_.insert(key).second) {
        draft.warn(key, line, one.message);  // Once: it is the module's, not the site's.
      }
    }
  }

  const ForeignSource& source_;
  const ChecksConfig& defaults_;
  std::vector<SiteRow>& rows_;
  DocNode modules_;
  std::set<std::string> said_;
  std::size_t files_ = 0;
  DuplicateFinder duplicates_;
};

}  // namespace

void read_blackbox(const DocNode& root, const ForeignSource& source, const ChecksConfig& defaults,
                   std::vector<SiteRow>& rows) {
  BlackboxReader(source, defaults, rows).read(root);
}

}  // namespace watchwheel::app
