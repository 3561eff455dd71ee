import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import Synchronization

/// Tells when the client of a connection has gone: the connection has closed, or the client has closed its side of it. A client
/// that half-closes while it waits counts as gone, as nothing tells it from one that has ended.
final class ConnectionWatch: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    private struct State {
        var isGone = false
        var action: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    /// What to do when the client goes, once; at once where it has gone. Requests of a connection come one after the other, so
    /// that there is one action at a time.
    func follow(_ action: (@Sendable () -> Void)?) {
        let isGone = state.withLock { state in
            state.action = state.isGone ? nil : action
            return state.isGone
        }
        if isGone { action?() }
    }

    private func leave() {
        let action = state.withLock { state in
            state.isGone = true
            defer { state.action = nil }
            return state.action
        }
        action?()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { leave() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        leave()
        if error is HTTPParserError {
            // Nobody reads on then, so that the client's end would not be noticed. The answer gets a moment to arrive.
            let channel = context.channel
            context.eventLoop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
        }
        context.fireErrorCaught(error)
    }
}

extension Channel {
    /// The watch of a connection of this server.
    ///
    /// - Throws: ``AnswerEnd/clientGone`` for one that has closed.
    var watch: ConnectionWatch {
        get async throws {
            do { return try await pipeline.handler(type: ConnectionWatch.self).get() } catch {
                throw AnswerEnd.clientGone
            }
        }
    }
}
