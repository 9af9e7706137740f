"""How the page looks, by light and by night: one column of numbers first, small pictures, nothing that moves."""

STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#dfe4ea;--back:#f6f7f9;--card:#fff;--float:#7a8798;
--int8:#0b6bcb;--good:#187a45;--bad:#b3261e;--warn:#8a5a00}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--line:#2d3643;--back:#12171e;--card:#1a212b;
--float:#8b98a9;--int8:#6cb4ff;--good:#5fd097;--bad:#ff8a80;--warn:#f0bf5a}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1060px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:24px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:18px;margin:0 0 4px}h3{font-size:15px;margin:18px 0 6px}
p{margin:4px 0 10px;max-width:75ch}.lead,.sub,small,figcaption{color:var(--soft)}.sub{overflow-wrap:anywhere}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:16px 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(158px,1fr));gap:12px;margin:18px 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.tile span,.tile small{display:block}.tile span{font-size:13px;color:var(--soft)}
.tile b{display:block;font-size:25px;line-height:1.3;font-variant-numeric:tabular-nums}
.good b,b.good,td .good{color:var(--good)}.bad b,b.bad,td .bad{color:var(--bad)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:5px 10px;border-bottom:1px solid var(--line);white-space:nowrap}
thead th{font-weight:600;color:var(--soft);font-size:13px}
tbody th{font-weight:400}th:first-child{text-align:left}
table.words td{text-align:left;white-space:normal;overflow-wrap:anywhere}
table.words th{text-align:left;vertical-align:top}
tbody tr:last-child>*{border-bottom:0}
details{margin-top:10px}summary{cursor:pointer;color:var(--soft)}
svg{display:block;width:100%;height:auto}svg text{fill:var(--soft);font:11px system-ui,sans-serif}
.grid{stroke:var(--line);stroke-width:1}.dot{fill:var(--int8)}.dot.low{fill:var(--bad)}.trace{fill:none;stroke:var(--int8);
stroke-width:1.4}.trace.float{stroke:var(--float)}.mark{stroke:var(--warn);stroke-dasharray:4 3}
.bar{fill:var(--int8)}.bar.float{fill:var(--float)}.key i{display:inline-block;width:10px;height:10px;border-radius:2px;
margin:0 5px 0 12px;background:var(--int8)}.key i.float{background:var(--float)}.key{font-size:13px;color:var(--soft)}
.two{display:grid;grid-template-columns:1fr 1fr;gap:18px}@media(max-width:760px){.two,.pairs{grid-template-columns:1fr}}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(440px,1fr));gap:18px}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:6px;align-content:start}
.pair.three{grid-template-columns:1fr 1fr 1fr}
figure{margin:0}figcaption{font-size:13px;overflow-wrap:anywhere}
.pair h3{grid-column:1/-1;margin:0;overflow-wrap:anywhere}
img{display:block;max-width:100%;height:auto;border-radius:6px;background:var(--line)}
code{font:13px ui-monospace,SFMono-Regular,Menlo,monospace;overflow-wrap:anywhere}
pre{background:var(--back);border:1px solid var(--line);border-radius:6px;padding:10px;overflow-x:auto;margin:6px 0}
"""
