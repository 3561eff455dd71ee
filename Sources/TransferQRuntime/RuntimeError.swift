/// What can go wrong between a request and a running answer. Every message says what, where and how to mend it.
public enum RuntimeError: Error, Equatable, Sendable {
    /// `what` is a part of a request, e.g. `baseline`.
    case invalidSpecification(what: String, reason: String)
    /// Something that a request asks for does not go with something else in it.
    case conflict(String)
    /// A file that a request names cannot be used. `reason` completes "PATH …".
    case unusableFile(path: String, reason: String)
    /// The waiting line holds as many answers as it may.
    case lineFull(limit: Int)
    /// Bytes that an answer's contexts take, and those that all may take together.
    case tooLittleMemory(needed: Int, limit: Int)
}

extension RuntimeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .invalidSpecification(let what, let reason): "the \(what) cannot be used: \(reason)"
        case .conflict(let sentence): sentence
        case .unusableFile(let path, let reason): "\(path) \(reason)"
        case .lineFull(let limit): "\(limit) answers are waiting already, as many as may; ask again later"
        case .tooLittleMemory(let needed, let limit):
            "the answer needs about \(needed / 1_000_000) MB for its contexts, and \(limit / 1_000_000) MB are allowed; ask for "
                + "a shorter answer, fewer candidates or a shorter horizon, or allow more memory"
        }
    }
}

extension RuntimeError {
    /// Refuses an object with a key that nobody knows.
    package static func checkKeys(of decoder: any Decoder, known: Set<String>, what: String) throws {
        let keys = try decoder.container(keyedBy: NamedKey.self).allKeys.map(\.stringValue)
        guard let stranger = keys.sorted().first(where: { !known.contains($0) }) else { return }
        throw RuntimeError.invalidSpecification(
            what: what,
            reason: "the key \"\(stranger)\" is not known; it takes \(known.sorted().joined(separator: ", "))")
    }
}
