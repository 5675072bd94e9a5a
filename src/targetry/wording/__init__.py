"""What is said in words to people who look at artifacts and decisions, the same in a terminal and on a page.

Texts only: whoever shows them chooses colours, boxes and elements. Pure, and knows neither `cli` nor `edge`, which import it.
"""
