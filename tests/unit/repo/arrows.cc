// SPDX-License-Identifier: Apache-2.0
#include "arrows.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>

namespace watchwheel::repo {
namespace {

constexpr std::array<std::string_view, 9> kRooms{
    "core", "scheduler", "checker", "sideeffects", "channels", "db", "http", "verify", "app"};

bool is_room(std::string_view name) {
  return std::find(kRooms.begin(), kRooms.end(), name) != kRooms.end();
}

// What channels stand upon: the messages they give a form to, and the guard and the files of the checker (ADR 0021).
bool is_below_channels(const std::string& room) {
  return room == "sideeffects" || room == "checker";
}

// app -> rooms -> core. Between rooms only an interface that its caller declared.
bool arrow_points_down(const std::string& from, const std::string& to,
                       const std::string& included) {
  return (from == "channels" && is_below_channels(to)) || from == to || from == "app" || to == "core" ||
         (from != "core" && to != "app" && included.ends_with("_api.h"));
}

using Pattern = std::shared_ptr<
    const RE2>;  // RE2: libstdc++'s regex does not compile warning-free under the sanitizers.

Pattern pattern(const char* text) {
  return std::make_shared<const RE2>(text);
}

bool is_all_of(const std::string& text, const Pattern& wanted) {
  return RE2::FullMatch(text, *wanted);
}

// A library that only some files may speak to: its headers stay out of everybody else's.
struct ForeignLibrary {
  const char* name;
  Pattern header;
  Pattern allowed_in;  // Paths.
};

const std::vector<ForeignLibrary>& foreign_libraries() {
  static const std::vector<ForeignLibrary> kLibraries{
      {"libcurl", pattern("curl/.*"),
       pattern("src/(checker|channels|verify)/.*|src/app/(version|daemon_client)\\.cc")},
      {"c-ares", pattern("ares.*\\.h"), pattern("src/checker/.*|src/app/version\\.cc")},
      {"SQLite", pattern("sqlite3.*\\.h"), pattern("src/db/.*|src/app/version\\.cc")},
      {"MySQL", pattern("(cppconn|mysql).*"), pattern("src/db/.*\\.cc")},
      {"prometheus-cpp", pattern("prometheus/.*"),
       pattern(
           "src/http/.*|src/[a-z]+/([a-z]+_)?metrics\\.(h|cc)|src/app/(status\\.(h|cc)|run_command\\.cc|verify_desk_page\\.cc)")},
      {"spdlog", pattern("spdlog/.*"), pattern("src/app/.*\\.cc")},
      {"toml++", pattern("toml\\+\\+/.*|toml\\+\\+\\.h|toml\\.hpp"), pattern("src/app/.*\\.cc")},
      {"CLI11", pattern("CLI/.*"), pattern("src/app/.*\\.cc")},
      {"nlohmann-json", pattern("nlohmann/json\\.hpp"), pattern("src/.*\\.cc")},
      {"Boost", pattern("boost/.*"), pattern("src/(checker|http|app)/.*\\.cc")},
      {"libsystemd", pattern("systemd/.*"), pattern("src/app/service_notify\\.cc")},
      {"OpenSSL", pattern("openssl/.*"),
       pattern("src/checker/.*|src/channels/signature\\.cc|src/app/version\\.cc")},
  };
  return kLibraries;
}

std::optional<std::string> included_by(const std::string& line) {
  static const RE2 kInclude(R"re(^\s*#\s*include\s*[<"]([^">]+)[">])re");
  std::string found;
  if (!RE2::PartialMatch(line, kInclude, &found)) return std::nullopt;
  return found;
}

// What tests/fuzz/CMakeLists.txt links without a database: clang's sanitizer asks for the type of every object that is called.
bool is_fuzzed(const std::string& path) {
  static const RE2 kFuzzed(
      R"(src/app/(config|legacy_config|problem|site_fields|site_list)[a-z_]*\.(h|cc))");
  return RE2::FullMatch(path, kFuzzed);
}

bool is_pure_of_db(const std::string& header) {
  static const RE2 kPure(R"(db/(legacy_mapping|mysql_url|store_url)\.h)");
  return RE2::FullMatch(header, kPure);
}

std::optional<std::string> wrong_include(const SourceFile& file, const std::string& included) {
  const auto slash = included.find('/');
  const std::string to = slash == std::string::npos ? "" : included.substr(0, slash);
  if (is_room(to) && !arrow_points_down(file.room(), to, included)) {
    return file.room() + " includes " + included + ": against the arrows";
  }
  if (to == "db" && is_fuzzed(file.path) && !is_pure_of_db(included)) {
    return included + ": a file that is fuzzed does without the database";
  }
  for (const ForeignLibrary& library : foreign_libraries()) {
    if (is_all_of(included, library.header) && !is_all_of(file.path, library.allowed_in)) {
      return std::string(library.name) + " (" + included +
             ") stays behind the room that speaks to it";
    }
  }
  return std::nullopt;
}

struct Forbidden {
  Pattern words;
  Pattern held_to;  // Paths of the files that the rule is for.
  Pattern allowed_in;
  const char* why;
};

const std::vector<Forbidden>& forbidden_words() {
  static const std::vector<Forbidden> kWords{
      {pattern(R"((::now\s*\(|\bgettimeofday\s*\(|\bclock_gettime\s*\())"), pattern(".*"),
       pattern(R"(src/core/clock\.cc)"),
       "reads a clock: take a core::Clock&, or `now` as an argument"},
      {pattern(R"(\bthis_thread\s*::\s*sleep_|\b(usleep|nanosleep)\s*\()"), pattern(".*"),
       pattern(R"(src/core/clock\.cc)"), "sleeps: wait for an event with a deadline"},
      {pattern(R"(->\s*commit\s*\()"), pattern("src/db/mysql.*"), pattern("none"),
       "the connector's commit() swallows every error: execute COMMIT"},
  };
  return kWords;
}

// The headers through which `library` reaches whoever includes them.
std::set<std::string> carriers_of(const ForeignLibrary& library,
                                  const std::vector<SourceFile>& files) {
  std::set<std::string> carriers;
  for (std::size_t before = 1; before != carriers.size();) {
    before = carriers.size();
    for (const SourceFile& file : files) {
      if (!file.is_header()) continue;
      for (const std::string& line : file.lines) {
        const auto included = included_by(line);
        if (included && (is_all_of(*included, library.header) || carriers.contains(*included))) {
          carriers.insert(file.path.substr(std::string_view("src/").size()));
        }
      }
    }
  }
  return carriers;
}

}  // namespace

std::vector<std::string> leaks(const std::vector<SourceFile>& files) {
  std::vector<std::string> out;
  for (const ForeignLibrary& library : foreign_libraries()) {
    const auto carriers = carriers_of(library, files);
    for (const SourceFile& file : files) {
      if (is_all_of(file.path, library.allowed_in)) continue;
      for (std::size_t i = 0; i < file.lines.size(); ++i) {
        const auto included = included_by(file.lines[i]);
        if (!included || !carriers.contains(*included)) continue;
        out.push_back(file.path + ":" + std::to_string(i + 1) + ": " + library.name +
                      " comes in through " + *included);
      }
    }
  }
  return out;
}

std::vector<std::string> breaches(const SourceFile& file) {
  std::vector<std::string> out;
  const auto tell = [&](std::size_t index, const std::string& what) {
    out.push_back(file.path + ":" + std::to_string(index + 1) + ": " + what);
  };
  if (file.lines.empty() ||
      file.lines[0].find("SPDX-License-Identifier: Apache-2.0") == std::string::npos) {
    tell(0, "the first line is not the licence's: SPDX-License-Identifier: Apache-2.0");
  }
  if (file.is_header() &&
      std::find(file.lines.begin(), file.lines.end(), "#pragma once") == file.lines.end()) {
    tell(0, "no #pragma once");
  }
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    if (const auto included = included_by(file.lines[i])) {
      if (const auto wrong = wrong_include(file, *included)) tell(i, *wrong);
      continue;
    }
    const std::string code = code_of(file.lines[i]);
    for (const Forbidden& rule : forbidden_words()) {
      if (RE2::PartialMatch(code, *rule.words) && is_all_of(file.path, rule.held_to) &&
          !is_all_of(file.path, rule.allowed_in)) {
        tell(i, rule.why);
      }
    }
  }
  return out;
}

}  // namespace watchwheel::repo
