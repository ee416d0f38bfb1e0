// SPDX-License-Identifier: Apache-2.0
// The files of pages/: error/RULE--VARIANT and healthy/NAME. A file ending in .txt came as text/plain, .json as application/json,
// .html as text/html.
#pragma once

#include <string>
#include <vector>

namespace watchwheel::checker {

struct CorpusFile {
  std::string name;
  std::string type;
  std::string body;
  // Of an error page: the id of the rule that must recognise it.
  [[nodiscard]] std::string rule() const { return name.substr(0, name.find("--")); }
};

// By name. Read once.
const std::vector<CorpusFile>& error_pages();
const std::vector<CorpusFile>& healthy_pages();

}  // namespace watchwheel::checker
