// SPDX-License-Identifier: Apache-2.0
// app/config_notify.h - the keys of a [[notify]], and what must hold between them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "app/problem.h"

namespace watchwheel::app {

// Where: the entry's index and its key, "" for the entry itself.
using NotifyReport = std::function<void(Severity severity, std::size_t entry, std::string_view key,
                                        std::string message)>;

// Names are judged with those of other sections.
void judge_notify(const std::vector<NotifyConfig>& entries, const NotifyReport& report);

}  // namespace watchwheel::app
