import AsyncAlgorithms
import TransferQ
import TransferQRuntime

/// Answers whose first step is there, so that whatever is wrong with their request has been found.
struct OpenedAnswer: Sendable {
    let plan: AnswerPlan
    let feed: AnswerFeed
    /// What came up to the first step, that step included.
    let opening: [AnswerFeed.Event]
    let client: ConnectionWatch

    /// Makes answers that end when their client goes.
    ///
    /// - Throws: ``AnswerEnd``, or what is wrong with the request or its models.
    init(_ plan: AnswerPlan, for client: ConnectionWatch, on server: ServerState) async throws {
        let feed = try AnswerFeed(plan, on: server)
        client.follow { feed.cancel(.clientGone) }
        var opening: [AnswerFeed.Event] = []
        do {
            reading: for try await event in feed.events {
                opening.append(event)
                switch event.event {
                case .notice: continue
                case .failure(let error): throw error
                case .step, .finished: break reading
                }
            }
        } catch {
            feed.cancel(.clientGone)
            client.follow(nil)
            throw error
        }
        self.plan = plan
        self.feed = feed
        self.opening = opening
        self.client = client
    }

    /// Hands over all events of all choices, in the order in which they come, and lets go of the client.
    func read(_ take: (AnswerFeed.Event) async throws -> Void) async throws {
        // Whoever stops reading has no use for the rest.
        defer {
            feed.cancel(.clientGone)
            client.follow(nil)
        }
        for event in opening { try await take(event) }
        for try await event in feed.events { try await take(event) }
    }
}
