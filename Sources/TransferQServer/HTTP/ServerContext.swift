import Hummingbird
import NIOCore
import Synchronization
import TransferQ

/// What belongs to one request.
struct ServerContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel
    let record = RequestRecord()

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }
}

/// What the log will say of a request, filled in while it is answered.
final class RequestRecord: Sendable {
    struct Content: Sendable {
        var model: String?
        var method: String?
        var isStreamed: Bool?
        var usage: Usage?
        var finish: String?
        var error: String?
        /// Only kept where the log shows prompts.
        var messages: [Message]?
    }

    private let content = Mutex(Content())

    func note(_ change: (inout Content) -> Void) { content.withLock { change(&$0) } }

    var noted: Content { content.withLock { $0 } }
}
