1 1.0 'tag |user id=5 age:30 |ad b:2 c
-1 |user id=6 |ad b c:0.5

shared |user x
0:-1:0.5 |action a
|action b

