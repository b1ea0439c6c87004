/** The style sheet of the pages: small type, thin lines, colour for what needs a look. */
export const style = `:root{color-scheme:light dark;--line:light-dark(#d8dadf,#3a3d44);--soft:light-dark(#f3f4f7,#24262b);--dim:light-dark(#70757f,#8d929c);--link:light-dark(#1d4fa3,#8fb6ff);--good:light-dark(#1d6b3a,#7fd39b);--warn:light-dark(#8a5a00,#f0c060);--bad:light-dark(#a31d2a,#ff8d94);--badback:light-dark(#fdecec,#3a2226)}
*{box-sizing:border-box}
body{margin:0;font:12px/1.45 system-ui,sans-serif;background:light-dark(#fff,#1b1d21);color:light-dark(#1c1e22,#dfe2e7)}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
header{display:flex;flex-wrap:wrap;gap:4px 14px;align-items:baseline;padding:6px 12px;border-bottom:1px solid var(--line);background:var(--soft)}
.mark{color:inherit;white-space:nowrap;font-size:13px}.mark b{color:var(--bad)}
nav{font-weight:600;overflow-wrap:anywhere}.identity{color:var(--dim);font-style:italic;margin-left:auto}
.reasons{margin:0;padding:4px 12px 4px 28px;background:var(--badback);color:var(--warn)}
main{padding:0 12px}
section{margin:10px 0 14px}
h2{font-size:13px;margin:0 0 3px;padding:2px 6px;background:var(--soft);border-left:3px solid var(--line)}h2 small{font-weight:400;color:var(--dim);margin-left:6px}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:1px 7px;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;white-space:nowrap;max-width:46ch;overflow:hidden;text-overflow:ellipsis}
th{font-weight:600;color:var(--dim)}thead a{color:inherit}
td.n,th.n{text-align:right}td.t{color:var(--dim)}
tbody tr:hover{background:var(--soft)}
.object td{white-space:pre-wrap;max-width:110ch;overflow-wrap:anywhere}
.object td.n{text-align:left}
tr.good td:nth-child(2){color:var(--good)}tr.warn td:nth-child(2){color:var(--warn)}tr.bad{background:var(--badback)}tr.bad td:nth-child(2){color:var(--bad);font-weight:600}tr.dim{opacity:.55}
.object.good tr:nth-child(2) td{color:var(--good)}.object.warn tr:nth-child(2) td{color:var(--warn)}.object.bad tr:nth-child(2) td{color:var(--bad)}
form{margin:3px 0}input,button{font:inherit;padding:0 4px;border:1px solid var(--line);background:transparent;color:inherit;border-radius:2px}
.filters input{width:100%;min-width:4ch}form small{color:var(--dim);margin-left:8px}
.error{margin:3px 0;padding:3px 8px;background:var(--badback);color:var(--bad);border-left:3px solid var(--bad);white-space:pre-wrap;overflow-wrap:anywhere}
.none,.without,.external{margin:3px 0;color:var(--dim)}.without{padding:0 12px 12px}
footer{margin-top:3px;font:11px/1.4 ui-monospace,monospace;color:var(--dim)}
`
