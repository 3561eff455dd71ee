import Foundation
import HTTPTypes

/// What a request is answered with in place of what it asked for: OpenAI's error object.
struct APIError: Error, Equatable {
    let status: HTTPResponse.Status
    /// One sentence: what, where, how to mend it.
    let message: String
    /// The field of the request that is to blame.
    let parameter: String?
    let code: String?
    /// Seconds after which another try may do better.
    var retryAfter: Int?

    init(
        _ status: HTTPResponse.Status, _ message: String, parameter: String? = nil, code: String? = nil,
        retryAfter: Int? = nil
    ) {
        self.status = status
        self.message = message
        self.parameter = parameter
        self.code = code
        self.retryAfter = retryAfter
    }

    static func invalid(_ message: String, parameter: String? = nil, code: String? = nil) -> APIError {
        APIError(.badRequest, message, parameter: parameter, code: code)
    }

    /// OpenAI's names for kinds of errors.
    var type: String {
        switch status.code {
        case 401: "authentication_error"
        case 403: "permission_error"
        case 429: "rate_limit_error"
        case 500...: "server_error"
        default: "invalid_request_error"
        }
    }

    /// The object as it is sent.
    var body: Body { Body(error: Body.Detail(message: message, type: type, param: parameter, code: code)) }

    struct Body: Encodable {
        struct Detail: Encodable {
            let message: String
            let type: String
            let param: String?
            let code: String?

            private enum CodingKeys: CodingKey { case message, type, param, code }

            /// Written out so that what there is none of is null rather than missing, as OpenAI has it.
            func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: CodingKeys.self)
                try container.encode(message, forKey: .message)
                try container.encode(type, forKey: .type)
                try container.encode(param, forKey: .param)
                try container.encode(code, forKey: .code)
            }
        }

        let error: Detail
    }
}
