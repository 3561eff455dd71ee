import Synchronization
import TransferQRuntime

/// What all endpoints share.
final class ServerState: Sendable {
    let presets: PresetTable
    let limits: ServerLimits
    /// Answers at the same time, of one set of models.
    let parallel: Int
    let log: ServerLog
    let live = LiveAnswers()
    let metrics = Metrics()
    /// Rewards that score texts at the same time.
    let scoring = Mutex(0)

    init(presets: PresetTable, limits: ServerLimits, parallel: Int, log: ServerLog) {
        self.presets = presets
        self.limits = limits
        self.parallel = parallel
        self.log = log
    }

    /// Seconds after which a full line may have moved.
    var retryAfter: Int {
        let waiting = Double(live.counts.waiting) / Double(max(1, parallel))
        return min(60, max(1, Int(waiting * (metrics.secondsPerAnswer ?? 1))))
    }
}

/// Where a server writes what it has to say.
public struct ServerLog: Sendable {
    /// Gets a line of JSON for each request.
    public let access: @Sendable (String) -> Void
    /// Gets sentences.
    public let say: @Sendable (String) -> Void
    /// Whether prompts stand in the lines of requests.
    public let showsPrompts: Bool

    public init(
        access: @escaping @Sendable (String) -> Void, say: @escaping @Sendable (String) -> Void,
        showsPrompts: Bool = false
    ) {
        self.access = access
        self.say = say
        self.showsPrompts = showsPrompts
    }
}
