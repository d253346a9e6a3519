#include "server/http/answer.h"

#include "server/http/errors.h"

namespace quern {

HttpResponse HttpService::error(std::exception_ptr error, const AccessRecord& request) {
    return error_response(to_api_error(std::move(error), request.id));
}

std::string HttpService::error_event(std::exception_ptr error, const AccessRecord& request) {
    return event(error_body(to_api_error(std::move(error), request.id)));
}

}  // namespace quern
