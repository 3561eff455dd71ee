// What another α would have chosen, from the recorded values: π_α ∝ π_tilt · exp(Q/α) over the candidates.
//
// A value that the search left out is unknown. At the recorded α an exact search proved that such a candidate loses, which
// bounds its value from above; where that does not settle the choice at another α, the choice is uncertain.

/// A candidate is known (it has a value), impossible (it cannot be chosen), or unknown.
function isKnown(candidate) {
    return candidate.value !== null && candidate.score > -Infinity;
}

function isUnknown(candidate) {
    return candidate.value === null && candidate.score > -Infinity;
}

function bestValue(step) {
    return step.candidates.filter(isKnown).reduce((best, candidate) => Math.max(best, candidate.value), -Infinity);
}

/// log π_tilt of each candidate up to a constant, nats: what its score holds beside its value.
export function logTilts(step) {
    const origin = bestValue(step);
    return step.candidates.map((candidate) =>
        isKnown(candidate) ? candidate.score - (candidate.value - origin) / step.alpha : candidate.score);
}

/// Whether another α is a question to this step: not where a KL budget or a gate left the choice to the policy.
export function hasAlpha(step) {
    return step.alpha !== null && Number.isFinite(step.alpha) && step.chosen >= 0 && !isGated(step);
}

/// A gate takes all candidates as equally good, so that none has a value and more than one a probability.
function isGated(step) {
    return !step.candidates.some(isKnown) && step.candidates.filter((candidate) => candidate.probability > 0).length > 1;
}

/// Scores of the candidates whose values are known, log π_tilt + (Q − best Q)/α; −∞ for the others.
function scoresAt(step, alpha) {
    const origin = bestValue(step);
    return logTilts(step).map((logTilt, index) => {
        const candidate = step.candidates[index];
        return isKnown(candidate) ? logTilt + (candidate.value - origin) / alpha : -Infinity;
    });
}

/// π_α of the candidates whose values are known, 0 for the others; as recorded where no value is known.
export function tilted(step, alpha) {
    if (!step.candidates.some(isKnown)) return step.candidates.map((candidate) => candidate.probability);
    const scores = scoresAt(step, alpha);
    const most = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - most));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.map((weight) => weight / sum);
}

/// The chance that the same random numbers (Gumbel noise) draw another token at `alpha`, given what was drawn:
/// 1 − 1/Σ_j max(p_j, p_c·q_j/q_c) for probabilities p as recorded and q at `alpha`, c what was drawn.
function chanceOfAnotherDraw(step, alpha) {
    const before = tilted(step, step.alpha);
    const after = tilted(step, alpha);
    const [p, q] = [before[step.chosen], after[step.chosen]];
    if (!(q > 0)) return 1;
    const sum = before.reduce((total, share, index) => total + Math.max(share, (p * after[index]) / q), 0);
    return Math.max(0, 1 - 1 / sum);
}

/// The most that the score of an unknown candidate can be at `alpha`: an exact search left it out because it loses to
/// what was chosen, so Q ≤ Q_chosen + α·(log π_tilt of what was chosen − its own).
function highestScore(step, logTilt, index, alpha, origin) {
    const chosen = step.candidates[step.chosen];
    return logTilt[index] + (chosen.value - origin + step.alpha * (logTilt[step.chosen] - logTilt[index])) / alpha;
}

/// What `alpha` would have made of a step's choice: `kind` is "same", "changed" or "uncertain"; `choice` is the index of
/// the new token where it is certain, `atLeast` that of one that beats the old token where others may beat both, `chance`
/// that of another token where the choice was a draw.
///
/// - isExact: whether the search left out nothing that could win.
export function verdict(step, alpha, { isDrawn, isExact }) {
    const same = { kind: "same", choice: step.chosen };
    if (alpha === step.alpha || !hasAlpha(step)) return same;
    const candidates = step.candidates;
    const unknown = candidates.flatMap((candidate, index) => (isUnknown(candidate) ? [index] : []))
        .filter((index) => index !== step.chosen);
    if (isDrawn) {
        if (unknown.length || !isKnown(candidates[step.chosen])) {
            return unknown.length ? { kind: "uncertain", choice: null } : same;
        }
        const chance = chanceOfAnotherDraw(step, alpha);
        return { kind: chance >= 0.5 ? "changed" : chance >= 0.05 ? "uncertain" : "same", choice: null, chance };
    }
    const logTilt = logTilts(step);
    if (!isKnown(candidates[step.chosen])) {
        // Its own value is unknown as well; the proof at the recorded α compares the two.
        const isSafe = (index) => isExact
            && (alpha >= step.alpha ? logTilt[index] <= logTilt[step.chosen] : logTilt[index] >= logTilt[step.chosen]);
        const rivals = [...candidates.keys()].filter((index) => isKnown(candidates[index]) || unknown.includes(index));
        return rivals.filter((index) => index !== step.chosen).every(isSafe) ? same : { kind: "uncertain", choice: null };
    }
    const scores = scoresAt(step, alpha);
    const origin = bestValue(step);
    let best = step.chosen;
    scores.forEach((score, index) => { if (score > scores[best]) best = index; });
    const isSettled = isExact
        && unknown.every((index) => highestScore(step, logTilt, index, alpha, origin) <= scores[best] + 1e-9);
    if (isSettled || !unknown.length) return best === step.chosen ? same : { kind: "changed", choice: best };
    return best === step.chosen
        ? { kind: "uncertain", choice: null } : { kind: "changed", choice: null, atLeast: best };
}
