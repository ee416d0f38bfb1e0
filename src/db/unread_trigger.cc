// SPDX-License-Identifier: Apache-2.0
#include "db/unread_trigger.h"

namespace watchwheel::db {

bool is_unread_trigger(int code, std::string_view message, bool prepared) {
  constexpr int kSyntax = 1064;
  return code == kSyntax && (prepared || message.find("rigger") != std::string_view::npos);
}

}  // namespace watchwheel::db
