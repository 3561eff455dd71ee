import TransferQ

/// Work that goes along with a batch of the context which others pay for: the tokens that the next question will need.
extension LlamaPolicy {
    /// Tokens behind the prefix sequence that are to be decoded along with others' work.
    struct Announcement {
        let work: DecodeWork
        let tokens: [Token]
        /// Tokens ahead of them.
        let first: Int
    }

    /// As ``advance(to:along:wantsRows:signal:)``, along with the next batch of the context; nothing where much is missing.
    func announce(_ response: [Token], along path: [Token]) {
        if let announcement { context.queue.withdraw(announcement.work) }
        finishAnnouncement()
        // The logits after the response come first; what is behind them can wait until they are missing as well.
        if prefix.isAtHand(response) { return }
        let missing = prefix.turn(to: response, along: path, wantsRows: true, branches: branches)
        // The prompt's states are nobody's business, and its tokens are many.
        let first = prefix.tokens.count
        guard !missing.isEmpty, missing.count <= DecodeQueue.mostAnnouncedTokens, first >= promptLength else { return }
        let work = DecodeWork(
            prefix.entries(of: missing, isRead: prefix.keepsStates)[...],
            results: .logits(andStates: prefix.keepsStates)
        ) { [prefix] index, output in
            prefix.keep(output, at: first + index + 1)
        }
        announcement = Announcement(work: work, tokens: missing, first: first)
        context.queue.announce(work)
    }

    /// Waits for what is announced. What fails there is decoded again by whoever needs it, who is then told why; so is what no
    /// batch has room for: its owner takes cells that are kept only to save work, or is told that the context is full.
    func settle(_ signal: AbortSignal) async {
        guard let announcement, !signal.isRaised else { return }
        if announcement.work.outcome == nil { await context.queue.wait(for: announcement.work, signal: signal) }
        finishAnnouncement()
    }

    /// Takes over what announced work came to.
    private func finishAnnouncement() {
        guard let announcement else { return }
        self.announcement = nil
        switch announcement.work.outcome {
        case .success:
            decodedTokens += announcement.tokens.count
            prefix.append(announcement.tokens)
        case .failure: prefix.dropDecoded(behind: announcement.first)
        case nil: break
        }
    }
}
