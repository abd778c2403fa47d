with

source as (

    select * from {{ source('retail', 'sales_team') }}

),

stg_retail__sales_people as (

    select
        id as sales_person_id,
        trim(first_name) as first_name,
        trim(last_name) as last_name,
        manager_id,
        upper(trim(is_manager)) = 'Y' as is_manager,
        trim(address) as address,
        trim(pincode) as pincode,
        joining_date

    from source

)

select * from stg_retail__sales_people
