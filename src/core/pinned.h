// SPDX-License-Identifier: Apache-2.0
// core/pinned.h - the base of every resource: it has one owner and one address.
#pragma once

namespace watchwheel::core {

class Pinned {
 public:
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

 protected:
  Pinned() = default;
  ~Pinned() = default;
};

}  // namespace watchwheel::core
