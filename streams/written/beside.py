"""Words in the titles of school calendars that may stand beside a closure or a cut day and do not limit it.

Names of holidays and seasons, whom all it concerns, and the usual reasons. What is not here, such as a grade, a
school's name, a place or anything negated, makes a title one for a person to look at.
"""

_LINKS = ("a", "all", "and", "the", "for", "of", "on", "s", "due to", "in honor of", "in observance of", "in lieu of")
_DAYS = (
    *("day", "weekend", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "break week"),
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october"),
    *("november", "december", "fall", "autumn", "winter", "spring", "summer", "mid winter", "midwinter"),
    *("semester break", "trimester break", "quarter break", "term break", "mid term break"),
)
_CONCERNED = (
    *("school", "public school", "student", "office", "district", "districtwide", "district wide", "k 12", "pk 12"),
    *("prek 12", "pre k 12", "grades k 12", "grades pk 12", "students and staff", "staff and students"),
    *("student staff holiday", "staff student holiday", "students and teachers", "teachers and students"),
)
_HOLIDAYS = (
    *("observed", "observance", "federal holiday", "state holiday", "legal holiday", "national holiday"),
    *("jr", "dr", "presidents day", "president s day", "presidents", "washington s birthday", "lincoln s birthday"),
    *("lincoln s birthday", "columbus day", "indigenous peoples day", "indigenous people s day", "veterans day"),
    *("veteran s day", "new year", "new year s", "new years", "new years day", "new year s eve", "new years eve"),
    *("christmas eve", "good friday", "easter", "easter monday", "election day", "patriots day", "patriot s day"),
    *("cesar chavez day", "day after thanksgiving", "day after christmas", "fourth of july", "4th of july"),
    *("rosh hashanah", "yom kippur", "passover", "hanukkah", "diwali", "eid", "eid al fitr", "eid al adha"),
    *("lunar new year", "king s birthday", "mlk jr"),
)
_REASONS = (
    *("parent teacher conference", "parent and teacher conference", "teacher conference", "conference day"),
    *("parent teacher conference day", "records day", "teacher records day", "teacher record day", "grading day"),
    *("teacher grading day", "planning day", "teacher planning day", "teacher planning", "professional day"),
    *("professional development day", "professional learning day", "staff development day", "in service day"),
    *("inservice day", "teacher in service", "staff in service", "teacher inservice", "staff inservice"),
    *("teacher professional development", "staff professional development", "teacher institute day", "pd", "pd day"),
    *("teacher pd", "staff pd", "plc", "staff training", "teacher training", "data day", "staff collaboration"),
    *("teacher collaboration", "final exam", "finals", "inclement weather", "weather", "snow", "ice", "extreme cold"),
    *("extreme heat", "hurricane", "flooding", "power outage", "air quality"),
)
BESIDE_WORDS = (*_LINKS, *_DAYS, *_CONCERNED, *_HOLIDAYS, *_REASONS)
# Made of words from above, and yet only a part of a district's schools.
PARTIAL_WORDS = ("summer school", "saturday school", "sunday school", "friday school", "spring school", "winter school")
