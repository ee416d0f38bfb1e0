// SPDX-License-Identifier: Apache-2.0
// checker/secret_file.h - a secret that an option names by a file: where the file is, and what it holds.
//
// Thread   any. It reads a file, which checks that are under way wait for on a lane's thread: when a plan is made, and when the
//          file has changed (plan.h).
// Bounded  kSecretBytesMax; only regular files are read, so nothing is waited for.
// Fails    Invalid, naming the file and never its content.
//
// A secret is never written in an option itself: options are stored, exported and shown.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/result.h"

namespace watchwheel::checker {

inline constexpr std::size_t kSecretBytesMax = 64 * 1024;

// A text with a '/' is the path itself. Any other is the name of a systemd credential of this service
// (LoadCredential=), a file in $CREDENTIALS_DIRECTORY. Invalid: empty, a zero byte, "." and "..", or a name where
// there is no such directory. Says nothing about whether the file is there.
[[nodiscard]] core::Result<std::string> secret_path(std::string_view name_or_path);

// What the file of secret_path() holds, without one line end at its end ("\n" or "\r\n"; editors add it). Invalid: no
// file that can be read, not a regular one, too long, empty, or with a line break or control character within: it would
// be a second header where a secret goes into one.
[[nodiscard]] core::Result<std::string> read_secret(std::string_view name_or_path);

}  // namespace watchwheel::checker
