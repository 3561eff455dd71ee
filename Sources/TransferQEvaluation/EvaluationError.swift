/// What can go wrong with what a run keeps. Every message says what, where and how to mend it.
public enum EvaluationError: Error, Equatable, Sendable {
    /// A file that a run would go on with holds something else.
    case unusableOutput(String)
    case cannotWrite(path: String, reason: String)
    /// Something in an evaluation's configuration.
    case invalidSpecification(String)
    /// A judge could not be asked, or answered something else; `reason` completes "the judge NAME …".
    case judge(name: String, reason: String)
}

extension EvaluationError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unusableOutput(let sentence), .invalidSpecification(let sentence): sentence
        case .judge(let name, let reason): "the judge \(name) \(reason)"
        case .cannotWrite(let path, let reason):
            "\(path) cannot be written (\(reason)); free some space or choose another file"
        }
    }
}
