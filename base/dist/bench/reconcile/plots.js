import * as echarts from 'echarts';
const colors = { ours: '#0b7285', bpf: '#e8590c', map: '#868e96' };
function draw(option, width = 760, height = 440) {
    const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
    try {
        chart.setOption({ animation: false, backgroundColor: '#ffffff', textStyle: { fontFamily: 'sans-serif' }, ...option });
        return chart.renderToSVGString();
    }
    finally {
        chart.dispose();
    }
}
const short = (n) => (n >= 1e6 ? `${Math.round(n / 1e5) / 10}M` : n >= 1e3 ? `${n / 1e3}k` : String(n));
function lines(rows, of) {
    const line = (name, color, pick) => ({
        name,
        type: 'line',
        color,
        symbolSize: 7,
        data: rows.flatMap((row) => {
            const value = pick(row);
            return value === null ? [] : [[row.sessions, of(row, value)]];
        })
    });
    return [line('shared table', colors.ours, (r) => r.cpuMs), line('kernel hash maps, batch calls', colors.bpf, (r) => r.bpfMs), line('JavaScript Map', colors.map, (r) => r.mapMs)];
}
const sessionsAxis = { type: 'log', name: 'sessions', nameLocation: 'middle', nameGap: 28, min: 10_000, axisLabel: { formatter: short } };
const legend = { top: 32 };
const grid = { left: 70, right: 30, top: 70, bottom: 55 };
/** Milliseconds over the number of sessions, both logarithmic. */
export function costPlot(rows) {
    return draw({
        title: { text: 'Reconciliation: find and remove what the peer no longer has', textStyle: { fontSize: 15 } },
        legend,
        grid,
        xAxis: sessionsAxis,
        yAxis: { type: 'log', name: 'ms (CPU time)', axisLabel: { formatter: (v) => String(v) } },
        series: lines(rows, (_, value) => value)
    });
}
/** Nanoseconds per session: flat is linear. */
export function perSessionPlot(rows) {
    return draw({
        title: { text: 'Reconciliation: cost per session', textStyle: { fontSize: 15 } },
        legend,
        grid,
        xAxis: sessionsAxis,
        yAxis: { type: 'log', name: 'ns per session', axisLabel: { formatter: (v) => String(v) } },
        series: lines(rows, ({ sessions }, value) => value * 1e6 / sessions)
    });
}
/** One run: the three variants side by side. */
export function barPlot(figures) {
    const bars = [
        { name: 'shared table', value: figures.reconcile_cpu_ms, color: colors.ours },
        { name: 'JavaScript Map', value: figures.reconcile_map_cpu_ms, color: colors.map },
        { name: 'kernel hash maps', value: figures.reconcile_bpf_cpu_ms, color: colors.bpf }
    ].flatMap(({ name, value, color }) => (value === undefined ? [] : [{ name, value, itemStyle: { color } }]));
    return draw({
        title: { text: `Reconciling ${short(figures.sessions ?? 0)} sessions`, textStyle: { fontSize: 15 } },
        grid: { left: 130, right: 80, top: 50, bottom: 50 },
        xAxis: { type: 'value', name: 'ms (CPU time)', nameLocation: 'middle', nameGap: 28 },
        yAxis: { type: 'category', inverse: true, data: bars.map((b) => b.name) },
        series: [{ type: 'bar', data: bars, label: { show: true, position: 'right' }, barMaxWidth: 36 }]
    }, 760, 240);
}
//# sourceMappingURL=plots.js.map