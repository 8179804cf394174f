/** Plain, legible, light or dark as the browser is. */
export const STYLE = `
:root { --back: #f6f7f8; --card: #fff; --text: #1b1f23; --quiet: #59636e; --line: #d9dee3; --main: #0b62c4; --on-main: #fff;
  --good: #1a7f37; --wait: #8a5a00; --bad: #c4281c; --open: #0b62c4; --rate: #1a7f37; }
@media (prefers-color-scheme: dark) {
  :root { --back: #101418; --card: #181d23; --text: #e4e8ec; --quiet: #98a2ad; --line: #2e353d; --main: #5aa7f5; --on-main: #08131f;
    --good: #4cc26a; --wait: #e0a93b; --bad: #ff7b6e; --open: #5aa7f5; --rate: #4cc26a; }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.45 system-ui, sans-serif }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 14px; padding: 12px 20px; background: var(--card); border-bottom: 1px solid var(--line) }
h1 { font-size: 18px; margin: 0 }
h2 { font-size: 13px; font-weight: 600; margin: 0 0 8px; color: var(--quiet) }
header p { margin: 0 }
#about { flex: 1 1 200px }
.quiet { color: var(--quiet) }
.hidden { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden }
main { max-width: 1120px; margin: 0 auto; padding: 16px 20px; display: grid; gap: 14px; grid-template-columns: minmax(0, 1fr) }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; min-width: 0 }
.badge { border-radius: 99px; padding: 1px 10px; font-size: 13px; border: 1px solid currentColor; white-space: nowrap }
.good { color: var(--good) } .wait { color: var(--wait) } .bad { color: var(--bad) }
button { font: inherit; padding: 5px 14px; border-radius: 6px; border: 1px solid var(--line); background: var(--card); color: var(--text); cursor: pointer }
button.main { background: var(--main); border-color: var(--main); color: var(--on-main) }
button:disabled { opacity: .5; cursor: default }
button:focus-visible, input:focus-visible, #events:focus-visible { outline: 2px solid var(--main); outline-offset: 2px }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(104px, 1fr)); gap: 10px 18px; margin: 0 }
dt { color: var(--quiet); font-size: 13px }
dd { margin: 0; font-size: 21px; font-variant-numeric: tabular-nums }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); white-space: nowrap }
tbody tr:last-child td { border-bottom: 0 }
th { font-weight: 500; font-size: 13px; color: var(--quiet) }
.n { text-align: right }
th.n + th:not(.n), td.n + td:not(.n) { padding-left: 28px }
th:last-child, td:last-child { padding-right: 0 }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: 18px }
figure { margin: 0; min-width: 0 }
figcaption { font-size: 13px; color: var(--quiet); margin-bottom: 4px }
output { color: var(--text); font-weight: 600; margin-left: 6px; font-variant-numeric: tabular-nums }
svg { display: block; width: 100%; height: 110px; border-bottom: 1px solid var(--line) }
.peak { float: right }
svg .grid { stroke: var(--line); fill: none; stroke-width: 1; opacity: .6; vector-effect: non-scaling-stroke }
svg .area { opacity: .14; stroke: none }
svg .curve { fill: none; stroke-width: 1.6; vector-effect: non-scaling-stroke }
#chart-open .area { fill: var(--open) } #chart-open .curve { stroke: var(--open) }
#chart-rate .area { fill: var(--rate) } #chart-rate .curve { stroke: var(--rate) }
#events { list-style: none; margin: 0; padding: 0; max-height: 230px; overflow-y: auto }
#events li, #progress li { display: grid; grid-template-columns: 76px 92px minmax(0, 1fr); gap: 8px; padding: 2px 0; overflow-wrap: anywhere }
#events time, #progress time { color: var(--quiet); font-variant-numeric: tabular-nums }
#alert { margin: 0; padding: 8px 14px; border: 1px solid currentColor; border-radius: 8px; color: var(--bad); background: var(--card) }
dialog { max-width: 560px; width: calc(100% - 32px); border: 1px solid var(--line); border-radius: 10px; background: var(--card); color: var(--text); padding: 20px }
dialog::backdrop { background: rgb(0 0 0 / .45) }
dialog h2 { font-size: 17px; color: var(--text) }
#progress { list-style: none; padding: 0; margin: 0; max-height: 50vh; overflow-y: auto }
.buttons { display: flex; justify-content: flex-end; gap: 10px; margin: 16px 0 0 }
.sign-in { max-width: 340px; margin-top: 12vh }
.sign-in form { display: grid; gap: 10px; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 18px }
.sign-in form p { margin: 0; font-size: 13px }
.sign-in [role=alert] { color: var(--bad) }
input { font: inherit; padding: 6px 8px; border: 1px solid var(--line); border-radius: 6px; background: var(--back); color: var(--text); width: 100% }
@media (max-width: 560px) {
  main { padding: 10px } header { padding: 10px 12px } #about { order: 1; flex-basis: 100% } #link { margin-left: auto } dd { font-size: 18px } dl { grid-template-columns: repeat(3, 1fr) }
  #events li, #progress li { grid-template-columns: 70px minmax(0, 1fr); gap: 0 8px } #events li span, #progress li span { grid-column: 2 }
}
`
