// Which rows are nearest to each query? Every pair is compared; a thread keeps the best of one query.
//
// A dispatch looks at few candidates: Mesa's software driver ends all loops of a thread after 65,535 turns without a word.

struct Queries {
    // The first query's row, and how many there are.
    first: u32,
    count: u32,
    // Fours of numbers in a row.
    fours: u32,
    k: u32,
}

struct Candidates {
    first: u32,
    end: u32,
}

@group(0) @binding(0) var<uniform> queries: Queries;
@group(0) @binding(1) var<storage, read> rows: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
// Best score first, k of each query.
@group(0) @binding(3) var<storage, read_write> ids: array<u32>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;
@group(1) @binding(0) var<uniform> candidates: Candidates;

// The earlier row wins a tie: it comes first and is not moved.
fn take(start: u32, row: u32, score: f32) {
    var at = start + queries.k - 1u;
    while (at > start && scores[at - 1u] < score) {
        scores[at] = scores[at - 1u];
        ids[at] = ids[at - 1u];
        at -= 1u;
    }
    scores[at] = score;
    ids[at] = row;
}

@compute @workgroup_size(64)
fn meet(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= queries.count) {
        return;
    }
    let own = queries.first + id.x;
    let start = id.x * queries.k;
    let last = start + queries.k - 1u;
    let mine_at = own * queries.fours;
    for (var row = candidates.first; row < candidates.end; row += 4u) {
        // Rows beyond the end are the last one again, and not taken.
        let end = candidates.end - 1u;
        let at = min(vec4(row, row + 1u, row + 2u, row + 3u), vec4(end)) * queries.fours;
        var sums = vec4(0.0);
        for (var four = 0u; four < queries.fours; four += 1u) {
            let mine = rows[mine_at + four];
            sums += vec4(
                dot(mine, rows[at.x + four]),
                dot(mine, rows[at.y + four]),
                dot(mine, rows[at.z + four]),
                dot(mine, rows[at.w + four]),
            );
        }
        for (var place = 0u; place < 4u && row + place < candidates.end; place += 1u) {
            let score = sums[place] - bias[row + place];
            if (score > scores[last] && row + place != own) {
                take(start, row + place, score);
            }
        }
    }
}
