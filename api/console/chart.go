package console

import (
	"slices"
	"time"

	"github.com/accord-sync/accord/internal/ledger"
)

// The measures of a chart, in the units of its own coordinates.
const (
	chartWidth  = 960
	chartHeight = 260
	// plotLeft and plotBottom leave room for the numbers and the days.
	plotLeft, plotTop, plotBottom = 44, 12, 28
	// dayLabels is about how many days are named under a chart, gridLines how
	// many heights.
	dayLabels, gridLines = 8, 4
	// colours is how many kinds can be told apart by colour; more share the last.
	colours = 6
)

// chart is bars of one day each, with one piece per kind, as SVG shows them. What
// it shows stands in a table beside it.
type chart struct {
	Width, Height, Left, Right, Base int
	Kinds                            []chartKind
	Bars                             []chartBar
	Lines                            []chartLine
	Labels                           []chartLabel
	Days                             []chartDay
}

type chartKind struct {
	Name   string
	Colour int
	Total  int
}

type chartBar struct {
	X, Y, Width, Height float64
	Colour              int
	Day, Kind           string
	Count               int
}

type chartLine struct{ Y, Count int }

type chartLabel struct {
	X   float64
	Day string
}

// chartDay is a line of the table: a day that has touch-points, with one count per
// kind of the chart.
type chartDay struct {
	Day    string
	Counts []int
	Total  int
}

// drawChart lays out counts by day and kind. The days are YYYY-MM-DD and valid.
func drawChart(from, to string, items []ledger.TouchCount) chart {
	c := chart{Width: chartWidth, Height: chartHeight, Left: plotLeft, Right: chartWidth, Base: chartHeight - plotBottom}
	days := daysBetween(from, to)
	c.kinds(items)
	byDay := map[string]*chartDay{}
	for _, item := range items {
		day := byDay[item.Day]
		if day == nil {
			day = &chartDay{Day: item.Day, Counts: make([]int, len(c.Kinds))}
			byDay[item.Day] = day
		}
		at := slices.IndexFunc(c.Kinds, func(kind chartKind) bool { return kind.Name == item.Kind })
		day.Counts[at] += item.Count
		day.Total += item.Count
	}
	most := 0
	for _, day := range byDay {
		most = max(most, day.Total)
	}
	top := c.grid(most)
	step := float64(chartWidth-plotLeft) / float64(len(days))
	for n, name := range days {
		left := plotLeft + step*float64(n)
		if n%max(1, (len(days)+dayLabels-1)/dayLabels) == 0 {
			c.Labels = append(c.Labels, chartLabel{X: left + step/2, Day: name[5:]})
		}
		day := byDay[name]
		if day == nil {
			continue
		}
		c.Days = append(c.Days, *day)
		c.bar(*day, left+step*0.1, step*0.8, float64(c.Base-plotTop)/float64(top))
	}
	return c
}

// kinds are in the order of the alphabet, so that their colours stay.
func (c *chart) kinds(items []ledger.TouchCount) {
	totals := map[string]int{}
	for _, item := range items {
		totals[item.Kind] += item.Count
	}
	for name, total := range totals {
		c.Kinds = append(c.Kinds, chartKind{Name: name, Total: total})
	}
	slices.SortFunc(c.Kinds, func(a, b chartKind) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	for n := range c.Kinds {
		c.Kinds[n].Colour = min(n, colours-1)
	}
}

// grid draws the heights and returns what the top one stands for.
func (c *chart) grid(most int) int {
	step := 1
	for scale := 1; step*gridLines < most; scale *= 10 {
		for _, digit := range []int{1, 2, 5} {
			if step = digit * scale; step*gridLines >= most {
				break
			}
		}
	}
	for n := range gridLines + 1 {
		c.Lines = append(c.Lines, chartLine{Y: c.Base - (c.Base-plotTop)*n/gridLines, Count: step * n})
	}
	return step * gridLines
}

// bar puts the pieces of a day on top of each other.
func (c *chart) bar(day chartDay, left, width, unit float64) {
	y := float64(c.Base)
	for n, count := range day.Counts {
		if count == 0 {
			continue
		}
		height := float64(count) * unit
		y -= height
		c.Bars = append(c.Bars, chartBar{
			X: left, Y: y, Width: width, Height: height, Colour: c.Kinds[n].Colour, Day: day.Day, Kind: c.Kinds[n].Name, Count: count})
	}
}

// daysBetween lists the days from the first to the last.
func daysBetween(from, to string) []string {
	var days []string
	first, _ := time.Parse(time.DateOnly, from)
	for day := first; len(days) <= maxDays; day = day.AddDate(0, 0, 1) {
		name := day.Format(time.DateOnly)
		if name > to {
			break
		}
		days = append(days, name)
	}
	return days
}
