// SPDX-License-Identifier: Apache-2.0
#include "core/result.h"

namespace watchwheel::core {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Unavailable: return "unavailable";
    case ErrorKind::Unknown: return "unknown";
    case ErrorKind::Invalid: return "invalid";
    case ErrorKind::NotFound: return "not_found";
    case ErrorKind::Corrupt: return "corrupt";
    case ErrorKind::Fenced: return "fenced";
  }
  ENSURE(false, "an error kind outside its list");
}

}  // namespace watchwheel::core
