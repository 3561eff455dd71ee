/// A check of what `confidence` leaves out: a random share of the candidates that were left out when the choice was made is
/// evaluated after all.
///
/// What was left out, and the choice without it, are kept as they were then; nothing is judged again with what the check
/// taught. The choice itself does profit from it.
struct Audit {
    /// The choice before the check.
    let winner: Int
    /// Candidates to check, some of those left out.
    let candidates: [Int]

    /// - Parameter verdict: one that leaves nothing open.
    init(of verdict: Verdict, _ view: StepView, by rule: ConfidenceRule?) {
        winner = verdict.winner
        candidates = verdict.leftOut.filter { rule?.isAudited(view.proposal.tokens[$0], in: view.state) ?? false }
    }

    /// What still needs a value: the candidates and the choice that they are compared with, unless bounds say that they
    /// cannot win.
    func unknown(in view: StepView) -> [Int] {
        let contenders = view.contenders
        let open = candidates.filter { !view.isKnown($0) && contenders.contains($0) }
        let isComparable = candidates.contains { contenders.contains($0) }
        return (open + (isComparable && !view.isKnown(winner) ? [winner] : [])).sorted()
    }

    /// Counts the check, if it was carried out.
    func report(_ view: StepView, to report: inout SearchReport) {
        guard !candidates.isEmpty, unknown(in: view).isEmpty else { return }
        report.audited = 1
        let best = view.tilted.best(among: (candidates + [winner]).sorted())
        report.auditMisses = best.map { $0 != winner && view.isKnown(winner) } ?? false ? 1 : 0
    }
}
