// SPDX-License-Identifier: Apache-2.0
#include "arrows.h"

#include <algorithm>
#include <array>
#include <optional>
#include <regex>
#include <set>

namespace watchwheel::repo {
namespace {

constexpr std::array<std::string_view, 7> kRooms{"core", "scheduler", "checker", "sideeffects",
                                                 "db",   "http",      "app"};

bool is_room(std::string_view name) {
  return std::find(kRooms.begin(), kRooms.end(), name) != kRooms.end();
}

// app -> rooms -> core. Between rooms only an interface that its caller declared.
bool arrow_points_down(const std::string& from, const std::string& to,
                       const std::string& included) {
  return from == to || from == "app" || to == "core" ||
         (from != "core" && to != "app" && included.ends_with("_api.h"));
}

// A library that only some files may speak to: its headers stay out of everybody else's.
struct ForeignLibrary {
  const char* name;
  std::regex header;
  std::regex allowed_in;  // Paths.
};

const std::vector<ForeignLibrary>& foreign_libraries() {
  static const std::vector<ForeignLibrary> kLibraries{
      {"libcurl", std::regex("curl/.*"),
       std::regex("src/checker/.*|src/app/(version|commands_status)\\.cc")},
      {"c-ares", std::regex("ares.*\\.h"), std::regex("src/checker/.*|src/app/version\\.cc")},
      {"SQLite", std::regex("sqlite3.*\\.h"), std::regex("src/db/.*|src/app/version\\.cc")},
      {"MySQL", std::regex("(cppconn|mysql).*"), std::regex("src/db/.*\\.cc")},
      {"prometheus-cpp", std::regex("prometheus/.*"),
       std::regex("src/http/.*|src/[a-z]+/metrics\\.(h|cc)|src/app/(status\\.(h|cc)|run_command\\.cc)")},
      {"spdlog", std::regex("spdlog/.*"), std::regex("src/app/.*\\.cc")},
      {"toml++", std::regex("toml\\+\\+/.*|toml\\+\\+\\.h|toml\\.hpp"),
       std::regex("src/app/.*\\.cc")},
      {"CLI11", std::regex("CLI/.*"), std::regex("src/app/.*\\.cc")},
      {"nlohmann-json", std::regex("nlohmann/json\\.hpp"), std::regex("src/.*\\.cc")},
      {"Boost", std::regex("boost/.*"), std::regex("src/(checker|http|app)/.*\\.cc")},
      {"libsystemd", std::regex("systemd/.*"), std::regex("src/app/service_notify\\.cc")},
      {"OpenSSL", std::regex("openssl/.*"), std::regex("src/checker/.*|src/app/version\\.cc")},
  };
  return kLibraries;
}

std::optional<std::string> included_by(const std::string& line) {
  static const std::regex kInclude(R"re(^\s*#\s*include\s*[<"]([^">]+)[">])re");
  std::smatch found;
  if (!std::regex_search(line, found, kInclude)) return std::nullopt;
  return found[1].str();
}

std::optional<std::string> wrong_include(const SourceFile& file, const std::string& included) {
  const auto slash = included.find('/');
  const std::string to = slash == std::string::npos ? "" : included.substr(0, slash);
  if (is_room(to) && !arrow_points_down(file.room(), to, included)) {
    return file.room() + " includes " + included + ": against the arrows";
  }
  for (const ForeignLibrary& library : foreign_libraries()) {
    if (std::regex_match(included, library.header) &&
        !std::regex_match(file.path, library.allowed_in)) {
      return std::string(library.name) + " (" + included +
             ") stays behind the room that speaks to it";
    }
  }
  return std::nullopt;
}

struct Forbidden {
  std::regex words;
  std::regex allowed_in;
  const char* why;
};

const std::vector<Forbidden>& forbidden_words() {
  static const std::vector<Forbidden> kWords{
      {std::regex(R"((::now\s*\(|\bgettimeofday\s*\(|\bclock_gettime\s*\())"),
       std::regex(R"(src/core/clock\.cc)"),
       "reads a clock: take a core::Clock&, or `now` as an argument"},
      {std::regex(R"(\bthis_thread\s*::\s*sleep_|\b(usleep|nanosleep)\s*\()"),
       std::regex(R"(src/core/clock\.cc)"), "sleeps: wait for an event with a deadline"},
      {std::regex(R"(->\s*commit\s*\()"), std::regex("(?!src/db/mysql).*"),
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
        if (included &&
            (std::regex_match(*included, library.header) || carriers.contains(*included))) {
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
      if (std::regex_match(file.path, library.allowed_in)) continue;
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
      if (std::regex_search(code, rule.words) && !std::regex_match(file.path, rule.allowed_in)) {
        tell(i, rule.why);
      }
    }
  }
  return out;
}

}  // namespace watchwheel::repo
