"""Reads what people type: letters, numbers, days, times, a yes or no, and which options an answer means.

Pure and in two languages, Spanish and English, side by side: visitors mix them. Where an answer has more than
one meaning the reading fails, since asking again costs less than a wrong value.
"""
