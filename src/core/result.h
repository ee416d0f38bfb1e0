// SPDX-License-Identifier: Apache-2.0
// core/result.h - a value, or why our own means could not give it.
//
// For failures of what we rely on (database, files, verifiers), not for what a site did: that is a
// ProbeResult. The shape is C++23's std::expected, so that one alias can replace it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "core/ensure.h"

namespace watchwheel::core {

enum class ErrorKind {
  Unavailable,  // Not now: busy, away, full, timed out. The same call may succeed later.
  Unknown,      // Sent, and the answer was lost: it may or may not have been done. Only replay-safe calls may be repeated.
  Invalid,      // The request itself is wrong; repeating it cannot help.
  NotFound,
  Corrupt,      // What was read cannot be what we wrote.
  Fenced,       // Another process has taken over what this was about: it is not ours to write any more.
};

[[nodiscard]] std::string_view to_string(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::Unavailable;
  std::string message;  // For a person: what, where, and what would help. No secrets.
};

template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor): as std::expected.
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor): as std::unexpected.

  [[nodiscard]] bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // Asking for what is not there is our mistake: it stops the process.
  [[nodiscard]] T& value() & { return checked_value(); }
  [[nodiscard]] const T& value() const& { return const_cast<Result*>(this)->checked_value(); }
  [[nodiscard]] T&& value() && { return std::move(checked_value()); }
  [[nodiscard]] const Error& error() const {
    ENSURE(!has_value(), "error() of a result that holds a value");
    return std::get<1>(state_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  T& checked_value() {
    ENSURE(has_value(), "value() of a result that holds an error: " + std::get<1>(state_).message);
    return std::get<0>(state_);
  }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}  // NOLINT(google-explicit-constructor): as std::unexpected.

  [[nodiscard]] bool has_value() const { return ok_; }
  explicit operator bool() const { return ok_; }
  [[nodiscard]] const Error& error() const {
    ENSURE(!ok_, "error() of a result that holds no error");
    return error_;
  }

 private:
  Error error_;
  bool ok_ = true;
};

}  // namespace watchwheel::core
