import HTTPTypes
import TransferQ
import TransferQRewards
import TransferQRuntime

/// What went wrong, as a client is told. What is the server's own fault is told in general words, and in the log in full.
struct Failure {
    let answer: APIError
    /// For the log; nil where the client is to blame.
    let detail: String?

    /// - Parameters:
    ///   - preset: whose files' names are left out; nil before it is known.
    ///   - retryAfter: seconds after which a full line may have moved.
    init(_ error: any Error, preset: Preset?, retryAfter: Int) {
        let message = preset?.redacted("\(error)") ?? "\(error)"
        func invalid(_ parameter: String? = nil, _ code: String? = nil) -> APIError {
            .invalid(message, parameter: parameter, code: code)
        }
        switch error {
        case let error as APIError: (answer, detail) = (error, nil)
        case let end as AnswerEnd: (answer, detail) = (Self.answer(end), nil)
        case is CancellationError: (answer, detail) = (Self.answer(.clientGone), nil)
        case RuntimeError.lineFull:
            answer = APIError(.tooManyRequests, message, code: "line_full", retryAfter: retryAfter)
            detail = nil
        case RuntimeError.tooLittleMemory: (answer, detail) = (invalid(nil, "too_much_memory"), nil)
        case RuntimeError.invalidSpecification(let what, _):
            (answer, detail) = (invalid(what), nil)
        case RuntimeError.conflict: (answer, detail) = (invalid(), nil)
        case TransferQError.invalidParameter(let name, _, _): (answer, detail) = (invalid(name), nil)
        case TransferQError.unknownParameter(_, let name, _): (answer, detail) = (invalid("transferq.\(name)"), nil)
        case TransferQError.unknownMethod: (answer, detail) = (invalid("transferq.method"), nil)
        case TransferQError.missingReward(let method):
            answer = .invalid(
                "the method \(method) needs a reward, and this model has none; choose another model or method",
                parameter: "transferq.method")
            detail = nil
        default:
            if let answer = Self.engineAnswer(error, message) {
                (self.answer, detail) = (answer, nil)
            } else {
                answer = Self.answer(to: error)
                detail = "\(error)"
            }
        }
    }

    private static func answer(to error: any Error) -> APIError {
        let isReward =
            switch error {
            case is RewardError: true
            case TransferQError.rewardCount, TransferQError.rewardNotFinite, TransferQError.rewardOutsideRange,
                TransferQError.rewardParts:
                true
            default: false
            }
        if isReward {
            return APIError(
                .badGateway, "the reward failed, so there is no answer; the server's log says why",
                code: "reward_failed")
        }
        return APIError(
            .internalServerError, "the server could not answer; its log says why", code: "internal_error")
    }

    private static func answer(_ end: AnswerEnd) -> APIError {
        switch end {
        case .clientGone: APIError(.requestTimeout, "the client has gone", code: "client_gone")
        case .shutdown:
            APIError(
                .serviceUnavailable, "the server is about to end; ask another one", code: "shutdown", retryAfter: 5)
        case .timeLimit(let seconds):
            APIError(
                .gatewayTimeout,
                "the answer took longer than \(seconds.fixed(0)) seconds, which is as long as it may; ask "
                    + "for a shorter one", code: "time_limit")
        }
    }
}
