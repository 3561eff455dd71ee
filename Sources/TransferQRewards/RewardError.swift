/// What can go wrong with rewards that are read, fitted or asked for elsewhere.
public enum RewardError: Error, Equatable, Sendable {
    case badHead(path: String, reason: String)
    case cannotWrite(path: String, reason: String)
    case badData(path: String, line: Int, reason: String)
    case tooLittleData(path: String, reason: String)
    case badCheckpoint(path: String, reason: String)
    /// `name` failed; `reason` completes the sentence and says what to do.
    case failed(reward: String, reason: String)
}

extension RewardError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .badHead(let path, let reason): "the head \(path) cannot be used: \(reason)"
        case .cannotWrite(let path, let reason):
            "\(path) cannot be written (\(reason)); free some space or choose another place"
        case .badData(let path, let line, let reason): "\(path), line \(line): \(reason)"
        case .tooLittleData(let path, let reason): "\(path): \(reason)"
        case .badCheckpoint(let path, let reason): "the checkpoint \(path) cannot be converted: \(reason)"
        case .failed(let reward, let reason): "the reward \(reward) \(reason)"
        }
    }
}
