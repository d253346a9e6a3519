// What went wrong, as those who waited for it are told. Nothing here throws, for it runs where something has been thrown.
#pragma once

#include <exception>
#include <string>

namespace quern {

/// What the exception says; a short text instead where there is no memory for that, or where it says nothing.
std::string text_of(const std::exception_ptr& error) noexcept;

/// Logs "`what`: " and the exception's text, or nothing where even that fails.
void log_failure(const char* what, const std::exception_ptr& error) noexcept;

}  // namespace quern
